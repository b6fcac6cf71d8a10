package main

import (
	"bytes"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// samples are a value other than the default for every setting. A setting without one fails the parity test.
var samples = map[string]string{ //nolint:gosec // nobody's credentials
	"database-url":          "postgres://u:p@db:5432/w",
	"listen-database-url":   "postgres://u:p@direct:5432/w",
	"listen":                "127.0.0.1:9999",
	"public-url":            "https://wake.example",
	"data-dir":              "/data/w",
	"postgres-bin":          "/opt/pg/bin",
	"auth":                  "keys",
	"rate-limit":            "70",
	"rate-burst":            "700",
	"tls-cert":              "/tls/cert.pem",
	"tls-key":               "/tls/key.pem",
	"metrics-listen":        "127.0.0.1:9998",
	"request-timeout":       "70s",
	"read-header-timeout":   "7s",
	"idle-timeout":          "7m",
	"max-header-bytes":      "70000",
	"tenant":                "acme",
	"principal":             "user:alice",
	"role":                  "client",
	"label":                 "laptop",
	"expires-in":            "7h",
	"insecure-allow-remote": "true",
	"token-key":             "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE",
	"node-id":               "node-7",
	"pool-size":             "7",
	"lease":                 "7s",
	"sweep-interval":        "700ms",
	"reconcile-interval":    "7s",
	"backoff":               "7s",
	"backoff-max":           "7m",
	"keep-claims":           "7h",
	"keep-history":          "8h",
	"keep-wakes":            "7m",
	"keep-jobs":             "7m",
	"retention-interval":    "7s",
	"park-after":            "7",
	"ride-out":              "7s",
	"drain-delay":           "7s",
	"drain-timeout":         "7s",
	"long-poll-timeout":     "7s",
	"max-body":              "70000",
	"runtime-metrics":       "true",
	"log-level":             "warn",
	"log-format":            "text",
	"url":                   "https://wake.example",
	"type":                  "demo",
	"runner":                "r7",
	"concurrency":           "7",
	"grace":                 "7s",
	"break":                 "fence",
	"api-key":               "wl_7_secret",
	"json":                  "true",
	"reason":                "because",
	"status":                "active",
	"entity":                "/demo/seven",
	"limit":                 "7",
	"after":                 "cursor",
	"to":                    "r8",
	"wait":                  "true",
	"parked":                "true",
}

func TestEverySettingIsAFlagAndAVariable(t *testing.T) {
	for _, cmd := range commands() {
		for _, s := range settings() {
			if s.in&cmd.kind == 0 {
				continue
			}
			t.Run(cmd.name+" "+s.name, func(t *testing.T) {
				value, ok := samples[s.name]
				require.True(t, ok, "no sample value")
				base := map[string]string{"WAKELATCH_DATABASE_URL": "postgres://other/x", "WAKELATCH_TYPE": "other"}

				byDefault := parsed(t, cmd, nil, base)
				byFlag := parsed(t, cmd, []string{"--" + s.name + "=" + value}, base)
				base[s.variable()] = value
				byVariable := parsed(t, cmd, nil, base)

				require.Empty(t, cmp.Diff(byFlag, byVariable, cmp.AllowUnexported(config{}, access{}, keyRequest{})))
				if value != s.fallback {
					require.NotEmpty(t, cmp.Diff(byDefault, byFlag, cmp.AllowUnexported(config{}, access{}, keyRequest{})), "the setting changes nothing")
				}

				base[s.variable()] = "\x00 wrong"
				require.Empty(t, cmp.Diff(byFlag, parsed(t, cmd, []string{"--" + s.name + "=" + value}, base),
					cmp.AllowUnexported(config{}, access{}, keyRequest{})), "the flag comes before the variable")
				require.Contains(t, usage(cmd), "--"+s.name)
				require.Contains(t, usage(cmd), s.variable())
			})
		}
	}
}

func TestEveryFieldOfTheConfigIsSet(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings() {
		var c config
		require.NoError(t, s.set(&c, samples[s.name]), s.name)
		for name, v := range fields(reflect.ValueOf(c), "") {
			seen[name] = seen[name] || !v.IsZero()
		}
	}
	for name, set := range seen {
		require.True(t, set, "no setting sets the field %s", name)
	}
}

// fields are those of a struct and of the structs of ours in it.
func fields(v reflect.Value, prefix string) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		name := prefix + v.Type().Field(i).Name
		if v.Field(i).Kind() == reflect.Struct {
			maps.Copy(all, fields(v.Field(i), name+"."))
			continue
		}
		all[name] = v.Field(i)
	}
	return all
}

func TestBadSettingsAreReportedTogetherByName(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"serve", "--listen", "nowhere", "--lease=1", "--log-level", "loud"}, process{
		stderr: &stderr, getenv: env(map[string]string{ //nolint:gosec // nobody's credentials
			"WAKELATCH_POOL_SIZE":  "many",
			"WAKELATCH_PUBLIC_URL": "ftp://x",
			"WAKELATCH_TOKEN_KEY":  "c2hvcnQ=",
			"WAKELATCH_RIDE_OUT":   "forever",
		}),
	})
	require.Equal(t, exitUsage, code)
	for _, name := range []string{
		"8 settings are wrong",
		"--database-url or WAKELATCH_DATABASE_URL must be set",
		"--listen must be host:port", "--lease must be a duration", "--log-level must be debug or info",
		"WAKELATCH_POOL_SIZE must be a whole number", "WAKELATCH_PUBLIC_URL must be an http", "WAKELATCH_TOKEN_KEY key 1 must be",
		"WAKELATCH_RIDE_OUT must be a duration",
	} {
		require.Contains(t, stderr.String(), name)
	}
	require.NotContains(t, stderr.String(), "c2hvcnQ", "a key must not be repeated")
}

// A mistyped flag must not make the ones behind it look as if they had not been given.
func TestAnUnknownFlagHidesNothing(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), strings.Fields("serve --leese=5s --database-url postgres://h/d ---listen --lease 1 --pool 4 --log-level loud"),
		process{stderr: &stderr, getenv: env(nil)})
	require.Equal(t, exitUsage, code)
	for _, says := range []string{"5 settings are wrong", "-leese", "---listen", "--lease must be a duration", "-pool", "--log-level must be"} {
		require.Contains(t, stderr.String(), says)
	}
	require.NotContains(t, stderr.String(), "--database-url")
}

func TestFlagsMayStandBehindTheArgument(t *testing.T) {
	cmd := commands()[2]
	require.Equal(t, "migrate", cmd.name)
	for _, line := range []string{"--database-url postgres://h/d up", "up --database-url postgres://h/d", "up --database-url=postgres://h/d"} {
		c, rest, err := parse(cmd, strings.Fields(line), env(nil))
		require.NoError(t, err, line)
		require.Equal(t, "postgres://h/d", c.databaseURL, line)
		require.Equal(t, []string{"up"}, rest, line)
	}
}

func TestPasswordsAreNotRepeated(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@host:port/x", "postgres://host/x?user=u&password=hunter2&pool_max_conns=many"} {
		var stderr bytes.Buffer
		code := run(t.Context(), []string{"migrate", "--database-url", url, "up"}, process{stderr: &stderr, getenv: env(nil)})
		require.Equal(t, exitUsage, code)
		require.Contains(t, stderr.String(), "--database-url must be a Postgres URL")
		require.NotContains(t, stderr.String(), "hunter2")
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, tc := range []struct{ args, says string }{
		{"", "Commands:"},
		{"sevre", `there is no command "sevre"`},
		{"serve --database-url postgres://h/d --listen=0.0.0.0:80", "--insecure-allow-remote"},
		{"dev --listen=:8080", "--insecure-allow-remote"},
		{"serve --database-url postgres://h/d --insecure-allow-remote --listen=0.0.0.0:80", "--public-url must be set: --listen 0.0.0.0:80"},
		{"serve --database-url postgres://h/d --insecure-allow-remote --listen=:80", "--public-url must be set"},
		{"serve --database-url postgres://h/d --insecure-allow-remote --listen=[::]:80", "--public-url must be set"},
		{"dev --no-such-flag", "no-such-flag"},
		{"dev here", `"here" is no flag`},
		{"dev --listen=127.0.0.1:0 here --lease=9s", `"here" is no flag`},
		{"serve --database-url postgres://h/d --lease 2s --sweep-interval 3s", "--sweep-interval must not be longer than --lease"},
		{"dev --backoff 2s --backoff-max 1s", "--backoff must not be longer than --backoff-max"},
		{"migrate --database-url postgres://h/d", "up or status"},
		{"migrate --database-url postgres://h/d down", "up or status"},
		{"help sevre", `there is no command "sevre"`},
		{"run -- ./agent.sh", "--type or WAKELATCH_TYPE must be set"},
		{"run --type demo", "wakelatch run --type demo -- ./agent.sh"},
		{"run --type demo -- no-such-agent --help", `"no-such-agent"`},
		{"run --type demo --concurrency 0 -- true", "--concurrency must be a whole number"},
		{"run --type demo --url nowhere -- true", "--url must be an http"},
		{"dev -- here", `"here" is no flag`},
	} {
		t.Run(tc.args, func(t *testing.T) {
			var stderr bytes.Buffer
			code := run(t.Context(), strings.Fields(tc.args), process{stderr: &stderr, getenv: env(nil)})
			require.Equal(t, exitUsage, code)
			require.Contains(t, stderr.String(), tc.says)
		})
	}
}

func TestUnknownVariablesAreNamedWithTheNearest(t *testing.T) {
	var stderr bytes.Buffer
	p := process{stderr: &stderr, getenv: env(nil), environ: func() []string {
		return []string{
			"WAKELATCH_LEASES=9s", "WAKELATCH_DATABASEURL=postgres://u:hunter2@h/d", "WAKELATCH_WHATEVER=1", "WAKELATCH_TYPE=demo",
			"WAKELATCH_STREAM=s", "HOME=/root",
		}
	}}
	require.Equal(t, exitUsage, run(t.Context(), []string{"migrate"}, p))
	require.Contains(t, stderr.String(), "the variable WAKELATCH_LEASES is no setting and is not looked at; did you mean WAKELATCH_LEASE?")
	require.Contains(t, stderr.String(), "WAKELATCH_DATABASEURL is no setting and is not looked at; did you mean WAKELATCH_DATABASE_URL?")
	require.Contains(t, stderr.String(), "WAKELATCH_WHATEVER is no setting and is not looked at; see wakelatch help migrate")
	require.Equal(t, 3, strings.Count(stderr.String(), "is no setting"))
	require.NotContains(t, stderr.String(), "hunter2")
}

func TestHelpIsNoFailure(t *testing.T) {
	for _, args := range []string{"help", "--help", "-h", "help serve", "serve --help", "dev -h", "help run", "run --help -- true"} {
		var stdout bytes.Buffer
		require.Equal(t, exitOK, run(t.Context(), strings.Fields(args), process{stdout: &stdout, getenv: env(nil)}), args)
		require.Contains(t, stdout.String(), "wakelatch")
	}
}

func TestVersionSaysWhatWasBuilt(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		var stdout bytes.Buffer
		require.Equal(t, exitOK, run(t.Context(), []string{arg}, process{stdout: &stdout, getenv: env(nil)}))
		require.Regexp(t, `^wakelatch \S+, revision .+ go1\.`, stdout.String())
	}
}

func parsed(t *testing.T, cmd command, args []string, vars map[string]string) config {
	t.Helper()
	c, _, err := parse(cmd, args, env(vars))
	require.NoError(t, err)
	return c
}

func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}
