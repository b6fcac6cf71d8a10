package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/wakelatch/wakelatch/cmd/wakelatch/demo"
	"github.com/wakelatch/wakelatch/server"
)

// hidden are the commands that the demo starts itself with. They are nothing for people.
func hidden() []command {
	return []command{
		{name: demo.AgentCommand, args: "ADDRESS", kind: forNone, run: demoAgent, summary: "be the agent of a demo's runner"},
		{name: demo.UnfencedCommand, kind: forServe, run: unfencedNode, summary: "be a node of a demo that has to fail: it takes every write"},
	}
}

func demonstrate(ctx context.Context, p process, c config, _ []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return demo.Run(ctx, demo.Options{
		Self: self, Environ: ownEnvironment(os.Environ()), DataDir: c.dataDir, PostgresBin: c.postgresBin,
		BreakFence: c.broken == "fence", Screen: screen(p), Progress: p.stderr,
	})
}

// ownEnvironment is the environment without our settings: the demo's processes run as it says, whatever is set here.
func ownEnvironment(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(settings(), func(s setting) bool { return s.variable() == name })
	})
}

// screen paints a table if standard output is a terminal that can.
func screen(p process) *demo.Screen {
	s := &demo.Screen{Out: p.stdout}
	file, isFile := p.stdout.(*os.File)
	if term, _ := p.getenv("TERM"); !isFile || term == "dumb" {
		return s
	}
	size := func() (width, height int) {
		window, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return 0, 0
		}
		return int(window.Col), int(window.Row)
	}
	if _, height := size(); height > 0 {
		s.Size = size
	}
	noColor, _ := p.getenv("NO_COLOR")
	s.Color = noColor == ""
	return s
}

func demoAgent(ctx context.Context, p process, _ config, args []string) error {
	if len(args) != 1 {
		return &usageError{errors.New("only the demo starts this")}
	}
	return demo.Agent(ctx, args[0], os.Getenv, os.Stdin, p.stdout)
}

func unfencedNode(ctx context.Context, p process, c config, _ []string) error {
	o := nodeOptions(p, c)
	o.Unfenced = true
	o.Logger.WarnContext(ctx, "this node has no fence and takes every write; it is for a demo that has to fail")
	return runNode(ctx, p, c, o, func(*server.Server) {})
}
