package main

import (
	"cmp"
	"context"
	"runtime"
	"runtime/debug"
)

func wantsVersion(arg string) bool { return arg == "--version" || arg == "-version" }

func version(_ context.Context, p process, _ config, _ []string) error {
	revision, changed := "unknown", ""
	module := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok {
		module = cmp.Or(info.Main.Version, module)
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = " with changes"
			}
		}
	}
	p.print("wakelatch %s, revision %s%s, %s %s/%s", module, revision, changed, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
