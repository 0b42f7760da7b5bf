package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"mpim/domain"
)

// Exit codes of the command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// system is what the process gets from outside.
type system struct {
	args   []string
	env    []string
	stdout io.Writer
	stderr io.Writer
}

// cli is the command line.
type cli struct {
	Settings

	Config configFlag `help:"Read settings from a YAML file." placeholder:"FILE" env:"MPIM_CONFIG"`

	Dev        devCommand        `cmd:"" help:"Run everything in one process: needs no servers."`
	Gateway    gatewayCommand    `cmd:"" help:"Serve the HTTP API, the WebSocket and the page."`
	Worker     workerCommand     `cmd:"" help:"Run projections, push and reactors."`
	Migrate    migrateCommand    `cmd:"" help:"Create, show or take back the SQL schema, and create the log."`
	Log        logCommand        `cmd:"" help:"Look at the log."`
	Replay     replayCommand     `cmd:"" help:"Print every matching event from the first."`
	Projection projectionCommand `cmd:"" help:"Look at the projections."`
	Doctor     doctorCommand     `cmd:"" help:"Check servers, settings, clocks, schema and lag, and say what to do."`
	Configure  configureCommand  `cmd:"" name:"config" help:"Show the settings."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// run runs the command line and returns the exit code.
func run(ctx context.Context, sys system) int {
	var c cli
	env := newEnvironment(sys.env)
	parser, err := kong.New(&c,
		kong.Name("mpim"),
		kong.Description("An event-sourced chat backend on Redis Streams."),
		kong.UsageOnError(),
		kong.Writers(sys.stdout, sys.stderr),
		kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Resolvers(env),
	)
	if err != nil {
		fmt.Fprintln(sys.stderr, "mpim:", err)
		return exitFailed
	}
	return runParsed(ctx, sys, env, parser, &c)
}

// exitCode is how kong's --help leaves.
type exitCode int

func runParsed(ctx context.Context, sys system, env *environment, parser *kong.Kong, c *cli) (code int) {
	defer func() {
		if left, ok := recover().(exitCode); ok {
			code = int(left)
		}
	}()
	if err := env.prepare(parser.Model, sys.args); err != nil {
		fmt.Fprintln(sys.stderr, "mpim:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(sys.args)
	if err != nil {
		fmt.Fprintf(sys.stderr, "mpim: %v\nRun `mpim --help` for usage.\n", err)
		return exitUsage
	}
	invocation := &invocation{
		ctx: ctx, settings: &c.Settings, parsed: parsed, env: env,
		stdout: sys.stdout, stderr: sys.stderr, logger: newLogger(sys.stderr, &c.Settings),
	}
	err = parsed.Run(invocation)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintln(sys.stderr, "mpim:", err)
		return exitUsage
	case errors.Is(err, errProblemsFound):
		return exitFailed
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(sys.stderr, "mpim: stopped; run the same command again to go on")
		return exitFailed
	default:
		fmt.Fprintln(sys.stderr, "mpim:", err)
		return exitFailed
	}
}

// errProblemsFound makes a command that has already said what it found exit with 1.
var errProblemsFound = errors.New("problems were found")

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// invocation is what a subcommand runs with.
type invocation struct {
	ctx      context.Context //nolint:containedctx // kong binds one argument to every Run
	settings *Settings
	parsed   *kong.Context
	env      *environment
	stdout   io.Writer
	stderr   io.Writer
	logger   *slog.Logger
}

// isTerminal says whether a person looks at what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newLogger writes text to a terminal and JSON elsewhere, at the level of the settings, which may change later.
func newLogger(w io.Writer, s *Settings) *slog.Logger {
	s.level = new(slog.LevelVar)
	s.level.Set(s.LogLevel)
	options := &slog.HandlerOptions{Level: s.level}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// explain turns an error into one sentence for an operator.
func explain(what string, err error) error {
	var refusal *domain.Error
	if errors.As(err, &refusal) && refusal.Cause != nil {
		return fmt.Errorf("%s: %s: %w", what, refusal.Message, refusal.Cause)
	}
	return fmt.Errorf("%s: %w", what, err)
}
