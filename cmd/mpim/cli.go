package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"
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

	Dev        devCommand        `cmd:"" help:"Run everything in one process, on embedded stores."`
	Gateway    gatewayCommand    `cmd:"" help:"Serve clients: HTTP API, WebSocket and the page."`
	Worker     workerCommand     `cmd:"" help:"Run projections and push."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the SQL schema up or down, and create the log."`
	Log        logCommand        `cmd:"" help:"Look at the log."`
	Replay     replayCommand     `cmd:"" help:"Print every event that matches, from the first."`
	Projection projectionCommand `cmd:"" help:"Look at what is computed from the log."`
	Cache      cacheCommand      `cmd:"" help:"Look at the cache in front of SQL, compare it, warm it."`
	Parked     parkedCommand     `cmd:"" help:"Events that a projection could not apply: list, retry, discard."`
	Webhook    webhookCommand    `cmd:"" help:"Tell other services of events over HTTP."`
	Deadletter deadletterCommand `cmd:"" help:"Events whose side effect was given up: list, retry, discard."`
	User       userCommand       `cmd:"" help:"Create, show, suspend and restore accounts."`
	Session    sessionCommand    `cmd:"" help:"List and end users' sessions."`
	Notice     noticeCommand     `cmd:"" help:"Tell users something."`
	Import     importCommand     `cmd:"" help:"Bring users, groups and messages of another system into the log."`
	Audit      auditCommand      `cmd:"" help:"Prove that nothing in the log was changed: signed heads, proofs."`
	Doctor     doctorCommand     `cmd:"" help:"Check servers, settings, clocks, schema and lag, and say what to do."`
	Configure  configureCommand  `cmd:"" name:"config" help:"Show the settings."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// run runs the command line and returns the exit code.
func run(ctx context.Context, sys system) (code int) {
	defer func() {
		switch left := recover().(type) {
		case nil:
		case exitCode:
			code = int(left)
		default:
			panic(left)
		}
	}()
	line, err := parse(sys)
	if err != nil {
		fmt.Fprintf(sys.stderr, "mpim: %v\n", err)
		return exitUsage
	}
	settings := &line.cli.Settings
	settings.cacheBytes = newCacheBytes(settings.CacheBytes)
	logger := newLogger(sys.stderr, settings)
	redis.SetLogger(quiet{logger})
	err = line.parsed.Run(&invocation{
		ctx: ctx, sys: sys, settings: settings, parsed: line.parsed, env: line.env,
		values: line.values,
		stdout: sys.stdout, stderr: sys.stderr, logger: logger,
	})
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, new(usageError)):
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

// exitCode is how kong's --help leaves: by a panic, out of the middle of parsing.
type exitCode int

// commandLine is a command line as it was understood, with the settings from wherever they came.
type commandLine struct {
	cli    *cli
	parsed *kong.Context
	env    *environment
	// values are the flags of the command as text, as they were read: a command may change them for itself.
	values map[string]string
}

// parse reads the arguments, the environment and the configuration file. Every error is one of usage.
func parse(sys system) (*commandLine, error) {
	line := &commandLine{cli: new(cli), env: newEnvironment(sys.env)}
	parser, err := kong.New(line.cli,
		kong.Name("mpim"),
		kong.Description(description),
		kong.Writers(sys.stdout, sys.stderr),
		kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoAppDescFormat: true, WrapUpperBound: 120}),
		kong.Help(printHelp),
		kong.ValueFormatter(helpOf),
		kong.Resolvers(line.env),
	)
	if err != nil {
		return nil, err
	}
	detachVariables(parser.Model)
	if err := line.env.prepare(parser.Model, sys.args); err != nil {
		return nil, err
	}
	if line.parsed, err = parser.Parse(sys.args); err != nil {
		return nil, fmt.Errorf("%w\nSee `%s`", err, helpFor(err))
	}
	line.values = make(map[string]string)
	for _, flag := range line.parsed.Flags() {
		line.values[flag.Name] = fmt.Sprint(flag.Target.Interface())
	}
	return line, line.env.checkGiven(line.parsed)
}

// helpFor returns the call that explains the command that was meant.
func helpFor(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil {
		return "mpim " + parse.Context.Selected().Path() + " --help"
	}
	return "mpim --help"
}

// errProblemsFound makes a command that has already said what it found exit with 1.
var errProblemsFound = errors.New("problems were found")

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// invocation is what a subcommand runs with.
type invocation struct {
	ctx      context.Context //nolint:containedctx // kong binds one argument to every Run
	sys      system
	settings *Settings
	parsed   *kong.Context
	env      *environment
	values   map[string]string
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

// quiet takes what the Redis client says by itself: what matters of it comes as an error, too.
type quiet struct{ *slog.Logger }

// Printf logs for those who look for every detail.
func (q quiet) Printf(ctx context.Context, format string, args ...any) {
	q.DebugContext(ctx, "redis client", slog.String("says", fmt.Sprintf(format, args...)))
}

// explain turns an error into one sentence for an operator.
func explain(what string, err error) error {
	var refusal *domain.Error
	if errors.As(err, &refusal) && refusal.Cause != nil {
		return fmt.Errorf("%s: %s: %w", what, refusal.Message, refusal.Cause)
	}
	return fmt.Errorf("%s: %w", what, err)
}
