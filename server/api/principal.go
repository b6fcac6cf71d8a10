package api

import "github.com/wakelatch/wakelatch/server/principal"

// Principal is somebody who acts: a user, a service, the system.
type Principal = principal.Principal

// ParsePrincipal reads the short form, user:alice, or the URL, /principal/user%3Aalice.
func ParsePrincipal(text string) (Principal, error) {
	who, err := principal.Parse(text)
	if err != nil {
		return Principal{}, invalid("principal", "must read kind:id, for example user:alice")
	}
	return who, nil
}
