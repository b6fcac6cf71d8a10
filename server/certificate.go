package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificateTick is how often the files are looked at. Their contents are compared, since files that are replaced by
// renaming or through links need not have newer times.
const certificateTick = time.Second

// certificate is a pair of PEM files and what they held when they were last whole. Connections that are open keep the
// certificate that they began with.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	seen              []byte // of Run alone, after the first load
	tick              time.Duration
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, tick: certificateTick}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// load takes the files' pair if they changed. A pair that does not hold together is told of once, until it changes.
func (c *certificate) load() (changed bool, err error) {
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return false, fmt.Errorf("read certificate: %w", err)
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return false, fmt.Errorf("read key of certificate: %w", err)
	}
	both := append(append(certPEM, 0), keyPEM...)
	if bytes.Equal(both, c.seen) {
		return false, nil
	}
	c.seen = both
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return false, fmt.Errorf("certificate %s and key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	return true, nil
}

// Run looks for new files until ctx ends.
func (c *certificate) Run(ctx context.Context) error {
	missing := false
	return every(ctx, c.tick, func() {
		changed, err := c.load()
		switch {
		case changed:
			c.log.InfoContext(ctx, "certificate was replaced", "file", c.certFile, "not_after", c.current.Load().Leaf.NotAfter)
		case err != nil && !missing:
			c.log.ErrorContext(ctx, "certificate cannot be replaced; the one before stays", "error", err)
		}
		// Files that cannot be read are told of once, and a pair that does not fit is not looked at twice.
		missing = err != nil
	})
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}
