package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/api"
	"mpim/handlers/auth"
	"mpim/projections/presence"
)

// operator asks for what administrators may do, from the command line and without being a user. What it changes is in the
// log like everything else, without an actor.
type operator struct {
	ctx        context.Context //nolint:containedctx // it lives as long as one command
	operations *api.Registry
	placement  domain.Placement
}

// operate runs a command of an operator: it appends by itself, and needs no gateway.
func (i *invocation) operate(what string, run func(*operator) error) error {
	return i.withLog(what, true, i.operation(run))
}

// consult runs a command of an operator that only reads, so that nobody has to wait for what it has seen.
func (i *invocation) consult(what string, run func(*operator) error) error {
	return i.withLog(what, false, i.operation(run))
}

func (i *invocation) operation(run func(*operator) error) func(*gatewayParts) error {
	return func(g *gatewayParts) error {
		// Nobody gets a token from here.
		tokens, err := auth.NewTokens(auth.TokensConfig{Key: random(auth.MinKeyBytes)})
		if err != nil {
			return err
		}
		operations, err := g.newOperations(i.settings, tokens, presence.NewChoices(g.stores.redis, g.stores.bus))
		if err != nil {
			return err
		}
		return run(&operator{ctx: i.ctx, operations: operations.Registry(), placement: g.stores.identity.Placement()})
	}
}

// withLog runs something that appends to the log, and lets it flush before the servers are let go; or something that only reads.
func (i *invocation) withLog(what string, appends bool, run func(*gatewayParts) error) (err error) {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	if err := s.openSealLikeOthers(i); err != nil {
		return err
	}
	log, err := s.newLog(i.settings.Durability, "command "+processID(""))
	if err != nil {
		return err
	}
	g := &gatewayParts{stores: s, log: log, waiter: s.newWaiter()}
	ctx, stop := context.WithCancel(context.WithoutCancel(i.ctx))
	running, ctx := errgroup.WithContext(ctx)
	parts := []func(context.Context) error{s.ring.Run, g.waiter.Run}
	if appends {
		parts = append(parts, log.Run)
	}
	for _, part := range parts {
		running.Go(func() error { return part(ctx) })
	}
	defer func() {
		stop()
		err = errors.Join(err, running.Wait())
	}()
	if err := run(g); err != nil {
		return explain(what, err)
	}
	return nil
}

// How often an operation is tried that is not possible just now.
const (
	callTries = 5
	callPause = 100 * time.Millisecond
)

// call asks for an operation, and decodes its answer into out, unless that is nil.
func (o *operator) call(method string, params, out any) error {
	op, ok := o.operations.Lookup(method)
	if !ok {
		return fmt.Errorf("%s is not an operation", method)
	}
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	result, err := op.Call(o.ctx, api.Caller{Operator: true}, text)
	// A process that has just begun may lack a key for a moment, and whoever types a command is not told to type it again.
	for try := 1; try < callTries && domain.CodeOf(err) == domain.Unavailable && o.ctx.Err() == nil; try++ {
		time.Sleep(callPause)
		result, err = op.Call(o.ctx, api.Caller{Operator: true}, text)
	}
	if err != nil || out == nil {
		return err
	}
	answer, err := api.Encode(result)
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// find returns the id of the user that an argument means: an id, or a user name with or without @.
func (o *operator) find(argument string) (string, error) {
	name, named := strings.CutPrefix(argument, "@")
	if !named {
		var found accountAnswer
		err := o.call("admin.user.get", map[string]any{"user": argument}, &found)
		if err == nil || domain.CodeOf(err) != domain.NotFound {
			return argument, err
		}
	}
	id := string(o.placement.User(name))
	if err := o.call("admin.user.get", map[string]any{"user": id}, nil); err != nil {
		if domain.CodeOf(err) == domain.NotFound {
			return "", domain.Errorf(domain.NotFound, "there is no user %s: `mpim user list` shows all", argument)
		}
		return "", err
	}
	return id, nil
}

// readPassword asks for a password on a terminal, twice, and reads it from the first line of standard input elsewhere: what
// stands in an argument, everybody on the machine can see.
func (i *invocation) readPassword() (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReaderSize(os.Stdin, account.MaxPassword+2).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		password := strings.TrimRight(line, "\r\n")
		if password == "" {
			return "", usagef("no password: write it to standard input, as in `mpim … <password-file`")
		}
		return password, nil
	}
	var answers [2]string
	for n, prompt := range []string{"Password: ", "The same again: "} {
		fmt.Fprint(i.stderr, prompt)
		typed, err := term.ReadPassword(fd)
		fmt.Fprintln(i.stderr)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		answers[n] = string(typed)
	}
	if answers[0] != answers[1] {
		return "", errors.New("the two are not the same: nothing was done")
	}
	return answers[0], nil
}
