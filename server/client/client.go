package client

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options are how a Client reaches the nodes. Everything but the URL may be left zero.
type Options struct {
	// URL is a node's or the balancer's.
	URL string
	// HTTP sends the requests; nil means a client of its own. It must not have a timeout shorter than a
	// long-poll.
	HTTP *http.Client
	// APIKey proves who calls, where nodes ask for keys. It goes with every request that carries no claim's token.
	APIKey string
	// Header goes with every request that carries no claim's token, such as electric-principal.
	Header http.Header
	// Logger is told of what is tried again; nil discards it.
	Logger *slog.Logger
}

// Client calls the nodes behind one URL. It may be used by many goroutines.
type Client struct {
	base   *url.URL
	http   *http.Client
	header http.Header
	log    *slog.Logger
}

// idleConns is how many connections wait for reuse: a runner holds a long-poll and works on many entities.
const idleConns = 64

// New makes a client; it calls nobody yet.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("url %q is not one of a node: use http://host:port", o.URL)
	}
	c := &Client{base: base, http: o.HTTP, header: o.Header.Clone(), log: o.Logger}
	if o.APIKey != "" {
		if c.header == nil {
			c.header = http.Header{}
		}
		c.header.Set("Authorization", "Bearer "+o.APIKey)
	}
	if c.http == nil {
		c.http = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: idleConns, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
		}}
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// URL is what the client was made with.
func (c *Client) URL() string { return c.base.String() }

// Close gives back the connections that wait for reuse.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// url is the address of a path whose segments are taken as they are, and escaped.
func (c *Client) url(segments ...string) string {
	var b strings.Builder
	b.WriteString(c.base.String())
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}
