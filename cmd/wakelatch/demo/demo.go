package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/wakelatch/wakelatch/server/client"
	"github.com/wakelatch/wakelatch/sql/db"
	"github.com/wakelatch/wakelatch/sql/localpg"
	"github.com/wakelatch/wakelatch/sql/migrations"
	"github.com/wakelatch/wakelatch/sql/pg"
)

// UnfencedCommand is the command of this program that is serve without the fence.
const UnfencedCommand = "demo-node-without-fence"

const (
	lease       = 2500 * time.Millisecond
	sendEvery   = 150 * time.Millisecond
	minMessages = 48
	maxMessages = 400 // when the script is not through by then, it never will be
	nodeCount   = 2
	runnerCount = 3
	paintEvery  = 200 * time.Millisecond
	settleTime  = 30 * time.Second // for all work to end after the last message
	stopTime    = 30 * time.Second
	poolSize    = 4
)

var (
	// ErrFailed means that the verdict has problems; they have been said.
	ErrFailed = errors.New("the demo failed")
	// ErrInterrupted means that somebody ended the demo before there was a verdict.
	ErrInterrupted = errors.New("interrupted; everything the demo started has ended")
)

// Options are what Run needs.
type Options struct {
	// Self is this program, and Environ the environment that its processes get.
	Self    string
	Environ []string
	// DataDir keeps the database; "" means a folder that is removed at the end.
	DataDir string
	// PostgresBin is the folder of the Postgres binaries; "" means to look for them.
	PostgresBin string
	// BreakFence takes the fence out of the nodes. The demo must fail then.
	BreakFence bool
	// Screen shows what happens, and the verdict.
	Screen *Screen
	// Progress takes what Postgres' start has to say.
	Progress io.Writer
}

// Run runs the demo. It returns nil after a verdict without a problem, and has ended everything it started.
func Run(ctx context.Context, o Options) error {
	logs, err := os.MkdirTemp("", "wakelatch-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the logs: %w", err)
	}
	s := &show{Options: o, logs: logs, begun: time.Now()}
	verdict, err := s.run(ctx)
	switch {
	case ctx.Err() != nil:
		return errors.Join(ErrInterrupted, s.left, os.RemoveAll(logs))
	case err == nil:
		o.Screen.Print(verdict.lines(o.BreakFence)...)
		if len(verdict.Problems) == 0 {
			return errors.Join(s.left, os.RemoveAll(logs))
		}
		err = ErrFailed
	}
	// A folder without a log, which a start that failed leaves, can be removed; another cannot.
	if os.Remove(logs) != nil {
		o.Screen.Print("Logs of all processes: " + logs)
	}
	return errors.Join(err, s.left)
}

// show is one run of the demo.
type show struct {
	Options
	logs  string
	begun time.Time
	left  error // what could not be ended
}

func (s *show) news(format string, args ...any) {
	s.Screen.News(time.Since(s.begun), fmt.Sprintf(format, args...))
}

// run starts what the demo stands on: Postgres, and the group of the processes.
func (s *show) run(ctx context.Context) (Verdict, error) {
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	postgres, err := localpg.Start(ctx, localpg.Options{DataDir: s.DataDir, BinDir: s.PostgresBin, Progress: s.Progress})
	if err != nil {
		return Verdict{}, err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		s.left = postgres.Stop(stop)
	}()
	pool, err := pg.NewPool(ctx, pg.PoolOptions{DSN: postgres.DSN("postgres"), ApplicationName: "wakelatch demo", MaxConns: poolSize})
	if err != nil {
		return Verdict{}, err
	}
	defer pool.Close()
	if err := s.migrate(ctx, pool); err != nil {
		return Verdict{}, err
	}
	s.news("Postgres %d runs, pid %d", postgres.Version(), postgres.PID())
	processes, err := newCrew(ctx, s.Options, s.logs, failed)
	if err != nil {
		return Verdict{}, err
	}
	defer processes.close()
	v, err := s.play(ctx, processes, postgres.DSN("postgres"), &rows{pool: pool, queries: db.New()})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return v, err
}

// migrate makes the schema. What the verdict counts is all there is, so there must be nothing yet.
func (s *show) migrate(ctx context.Context, pool *pgxpool.Pool) error {
	if err := migrations.Up(ctx, pool); err != nil {
		return err
	}
	var used bool
	if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM wakelatch.entities)").Scan(&used); err != nil {
		return fmt.Errorf("look for entities: %w", err)
	}
	if used {
		return fmt.Errorf("the database in %q has entities already, and the demo counts all it finds: name a new directory", s.DataDir)
	}
	return nil
}

// play runs the nodes, the runners, the messages and the faults, and judges what came of it.
func (s *show) play(ctx context.Context, processes *crew, dsn string, r *rows) (Verdict, error) {
	front, err := listen(ctx)
	if err != nil {
		return Verdict{}, err
	}
	back, err := listen(ctx)
	if err != nil {
		return Verdict{}, errors.Join(err, front.Close())
	}
	url := "http://" + front.Addr().String()
	plot := &script{
		nodes: s.nodes(dsn, url), runners: s.runners(url, back.Addr().String()), crew: processes,
		balancer: NewBalancer(nodeCount), rows: r, news: s.news, failed: processes.failed,
		nodeAt: minMessages / 5, runnerAt: minMessages / 2,
	}
	plot.prepare()

	var beside sync.WaitGroup
	defer beside.Wait()
	playing, end := context.WithCancel(ctx)
	defer end()
	beside.Go(func() {
		if err := plot.balancer.Serve(playing, front); err != nil {
			processes.failed(fmt.Errorf("balancer: %w", err))
		}
	})
	beside.Go(func() { (&desk{listener: back, handle: plot.at}).serve(playing) })
	if err := s.raise(playing, plot, url); err != nil {
		return Verdict{}, err
	}
	beside.Go(func() { plot.run(playing) })
	beside.Go(func() { s.watch(playing, plot) })
	return s.drive(playing, plot, url)
}

// raise starts the nodes, makes the entities and starts the runners.
func (s *show) raise(ctx context.Context, plot *script, url string) error {
	for i, node := range plot.nodes {
		if err := plot.crew.start(ctx, node); err != nil {
			return err
		}
		plot.balancer.Place(i, node.where())
		// It comes back to the address that the balancer knows.
		node.args = append(node.args, "--listen", node.where())
		s.news("%s serves, pid %d", node.name, node.pid())
	}
	c, err := client.New(client.Options{URL: url})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := prepare(ctx, c); err != nil {
		return err
	}
	for _, runner := range plot.runners {
		if err := plot.crew.start(ctx, runner); err != nil {
			return err
		}
		s.news("%s is registered, pid %d", runner.name, runner.pid())
	}
	return nil
}

// drive sends the messages, waits until everything has come to rest or had the time to, and judges.
func (s *show) drive(ctx context.Context, plot *script, url string) (Verdict, error) {
	c, err := client.New(client.Options{URL: url})
	if err != nil {
		return Verdict{}, err
	}
	defer c.Close()
	if err := plot.send(ctx, c); err != nil {
		return Verdict{}, err
	}
	s.news("all messages are sent")
	patience, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		story, err := plot.rows.story(ctx)
		if err != nil {
			return Verdict{}, err
		}
		v := Judge(story, plot.known())
		if len(v.Problems) == 0 || (v.atRest() && plot.over()) || pause(patience, glance) != nil {
			return v, ctx.Err()
		}
	}
}

func listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on the loopback: %w", err)
	}
	return l, nil
}

// nodes are real ones: serve, with its flags. Only without the fence they are started by a command of their own.
func (s *show) nodes(dsn, url string) []*member {
	command := "serve"
	if s.BreakFence {
		command = UnfencedCommand
	}
	var all []*member
	for i := range nodeCount {
		name := fmt.Sprintf("node-%d", i+1)
		all = append(all, &member{
			name: name, ready: regexp.MustCompile(`"msg":"node serves".*"address":"([^"]+)"`),
			args: []string{
				command, "--node-id", name, "--database-url", dsn, "--listen", "127.0.0.1:0", "--public-url", url,
				"--auth", "none", "--lease", lease.String(), "--sweep-interval", "250ms", "--log-format", "json",
			},
		})
	}
	return all
}

// runners are three processes of one runner.
func (s *show) runners(url, desk string) []*member {
	var all []*member
	for i := range runnerCount {
		all = append(all, &member{
			name: fmt.Sprintf("runner-%d", i+1), ready: regexp.MustCompile("runner is registered"),
			args: []string{
				"run", "--type", entityType, "--runner", runnerID, "--url", url, "--concurrency", "2",
				"--", s.Self, AgentCommand, desk,
			},
		})
	}
	return all
}
