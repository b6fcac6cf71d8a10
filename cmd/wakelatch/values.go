package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// setter reads a setting's text into the config. Its error says what the text must be.
type setter = func(c *config, text string) error

func required(set setter) setter {
	return func(c *config, text string) error {
		if text == "" {
			return errors.New("must be set")
		}
		return set(c, text)
	}
}

func text(field func(*config) *string) setter {
	return func(c *config, text string) error {
		*field(c) = text
		return nil
	}
}

// optional leaves alone what was not given.
func optional(set setter) setter {
	return func(c *config, text string) error {
		if text == "" {
			return nil
		}
		return set(c, text)
	}
}

func oneOf(field func(*config) *string, choices ...string) setter {
	return func(c *config, text string) error {
		if !slices.Contains(choices, text) {
			return fmt.Errorf("must be %s", strings.Join(choices, " or "))
		}
		*field(c) = text
		return nil
	}
}

func boolean(field func(*config) *bool) setter {
	return func(c *config, text string) (err error) {
		if *field(c), err = strconv.ParseBool(text); err != nil {
			return errors.New("must be true or false")
		}
		return nil
	}
}

func number(field func(*config) *int64, low, high int64) setter {
	return func(c *config, text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < low || n > high {
			return fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		*field(c) = n
		return nil
	}
}

func duration(field func(*config) *time.Duration, low, high time.Duration) setter {
	return func(c *config, text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < low || d > high {
			return fmt.Errorf("must be a duration from %s to %s, such as 1500ms or 2m", low, high)
		}
		*field(c) = d
		return nil
	}
}

func address(field func(*config) *string) setter {
	return func(c *config, text string) error {
		_, port, err := net.SplitHostPort(text)
		if err != nil {
			return errors.New("must be host:port, such as 127.0.0.1:8080")
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return errors.New("must end in a port from 0 to 65535")
		}
		*field(c) = text
		return nil
	}
}

func httpURL(field func(*config) *string) setter {
	return func(c *config, text string) error {
		if text == "" {
			return nil
		}
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return errors.New("must be an http or https URL with a host, and no query, fragment or user")
		}
		*field(c) = strings.TrimSuffix(text, "/")
		return nil
	}
}

// databaseURL does not repeat the driver's error, which may quote a password.
func databaseURL(field func(*config) *string) setter {
	return func(c *config, text string) error {
		if text == "" {
			return nil
		}
		if _, err := pgxpool.ParseConfig(text); err != nil {
			return errors.New("must be a Postgres URL or keyword string, such as postgres://user:password@host:5432/name")
		}
		*field(c) = text
		return nil
	}
}

const minKeyBytes = 32

func keys(field func(*config) *[][]byte) setter {
	return func(c *config, text string) error {
		if text == "" {
			return nil
		}
		for i, part := range strings.Split(text, ",") {
			key, err := decodeKey(strings.TrimSpace(part))
			if err != nil || len(key) < minKeyBytes {
				return fmt.Errorf("key %d must be at least %d bytes in base64; make one with: openssl rand -base64 32", i+1, minKeyBytes)
			}
			*field(c) = append(*field(c), key)
		}
		return nil
	}
}

// decodeKey takes both alphabets, with and without padding.
func decodeKey(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	return base64.RawStdEncoding.DecodeString(text)
}
