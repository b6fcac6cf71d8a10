package localpg

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the ranges that Linux and macOS give to outgoing connections. There a client that tries to
// reconnect while the server is down could be given the server's own port, and keep it from coming back.
const (
	lowestPort  = 20000
	highestPort = 32767
)

// freePort returns wanted if nothing listens there, else a random free one.
func freePort(wanted int) (int, error) {
	if wanted > 0 && portIsFree(wanted) {
		return wanted, nil
	}
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort+1) //nolint:gosec // a port is no secret.
		if portIsFree(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1 between " + strconv.Itoa(lowestPort) + " and " + strconv.Itoa(highestPort))
}

func portIsFree(port int) bool {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	return listener.Close() == nil
}
