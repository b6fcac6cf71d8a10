// Package redact keeps keys and tokens out of logs.
//
// Nothing of ours logs a secret. But a caller can put one anywhere, into a path, an id or a request id, and what a
// request was about is logged. So every text that goes to the log goes through [Handler] first.
package redact

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
)

// secrets are API keys, wl_<id>_<secret>, and the tokens of claims, wlc.… and wlw.…. Of a key its id stays and of a token
// all but its MAC, since both are public and help whoever looks for what happened. The MAC is all that follows the epoch,
// percent-encoded or not.
type secrets struct{ key, token *regexp.Regexp }

func newSecrets() secrets {
	return secrets{
		key:   regexp.MustCompile(`(?i)(wl(?:_|%5f)[a-z2-7]{12}(?:_|%5f))[a-z2-7]{4,}`),
		token: regexp.MustCompile(`(?i)(wl[cw](?:\.|%2e)[^\s/"]+?(?:\.|%2e)[0-9]{1,19}(?:\.|%2e))[a-z0-9_%-]{8,}`),
	}
}

func (s secrets) hide(text string) string {
	if !strings.ContainsAny(text, "wW") {
		return text
	}
	return s.token.ReplaceAllString(s.key.ReplaceAllString(text, "${1}redacted"), "${1}redacted")
}

// Handler passes records on without the secrets in their texts.
func Handler(next slog.Handler) slog.Handler { return &handler{next: next, secrets: newSecrets()} }

type handler struct {
	next    slog.Handler
	secrets secrets
}

// Enabled asks the next handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes the record on.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.secrets.hide(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs is for slog.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return &handler{next: h.next.WithAttrs(clean), secrets: h.secrets}
}

// WithGroup is for slog.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{next: h.next.WithGroup(name), secrets: h.secrets}
}

func (h *handler) attr(a slog.Attr) slog.Attr {
	a.Value = h.value(a.Value.Resolve())
	return a
}

// value cleans texts, errors and groups of them. Nothing else that is logged has room for a secret.
func (h *handler) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(h.secrets.hide(v.String()))
	case slog.KindGroup:
		clean := make([]slog.Attr, len(v.Group()))
		for i, a := range v.Group() {
			clean[i] = h.attr(a)
		}
		return slog.GroupValue(clean...)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok && err != nil {
			return slog.StringValue(h.secrets.hide(err.Error()))
		}
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindLogValuer:
	}
	return v
}
