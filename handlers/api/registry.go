package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"mpim/domain"
)

// Caller is who asks, and by which way. The transport has checked the token before it makes one.
type Caller struct {
	// User and Session are empty for a caller without a login.
	User    domain.UserID
	Session domain.SessionID
	// Connection is the socket; empty over REST.
	Connection domain.ConnectionID
	// Operator is who runs the installation and asks from its command line: no user, and may do what administrators may.
	Operator bool
	// RemoteAddr is the client's address without a port; rate limits before login count by it.
	RemoteAddr string
}

// Limit is a class of operations that share one rate limit.
type Limit string

// The classes.
const (
	// Unlimited operations have no rate of their own.
	Unlimited Limit = ""
	// SendLimit counts messages, per session, in memory.
	SendLimit Limit = "send"
	// ReceiptLimit counts receipts, per session, in memory.
	ReceiptLimit Limit = "receipt"
	// LoginLimit counts failed logins, per user name and address, in Redis.
	LoginLimit Limit = "login"
	// RegisterLimit counts registrations, per address, in Redis.
	RegisterLimit Limit = "register"
)

// Operation is one thing that a client can ask for.
type Operation struct {
	// Method is its name in JSON-RPC, and its operation id in OpenAPI.
	Method string
	// Summary says in one sentence what it does.
	Summary string
	// Verb and Path are its REST route, the path with members in braces; both empty where there is none.
	Verb, Path string
	// Status is that of a successful REST answer, 200 or 201.
	Status int
	// Limit is the rate limit that Call applies.
	Limit Limit
	// SocketOnly operations make no sense without a connection.
	SocketOnly bool
	// Public operations need no login.
	Public bool
	// Admin operations are for administrators.
	Admin bool
	// Changes says that the operation changes something, so its result has a position.
	Changes bool
	// Cumulative operations say what those before them said too, so those that follow each other may be done at once.
	Cumulative bool
	// Large reads have answers of up to a mebibyte. Few of them are made at the same time.
	Large bool
	// Input and Output are the types that parameters are decoded into and results have: structs with JSON tags.
	Input, Output reflect.Type

	call func(ctx context.Context, caller Caller, params json.RawMessage) (any, error)
}

// Call runs the operation for the caller. Params is a JSON object or empty; over REST its members are those of path,
// query and body. The result encodes with [Encode]. Each error is or wraps a *domain.Error, or is internal; where
// params do not parse as JSON, it wraps [ErrSyntax] too.
func (o *Operation) Call(ctx context.Context, caller Caller, params json.RawMessage) (any, error) {
	operator := o.Admin && caller.Operator
	if !o.Public && caller.User == "" && !operator {
		return nil, domain.Errorf(domain.Unauthenticated, "%s needs a login: send a token", o.Method)
	}
	return o.call(ctx, caller, params)
}

// Registry holds operations by name. It is complete when made and safe for concurrent use.
type Registry struct {
	byMethod map[string]*Operation
	all      []*Operation
}

// NewRegistry returns a registry of the given operations. It panics when two share a name or a route, which is a
// mistake in the program.
func NewRegistry(operations ...*Operation) *Registry {
	r := &Registry{byMethod: make(map[string]*Operation, len(operations)), all: operations}
	routes := make(map[string]bool)
	for _, o := range operations {
		if r.byMethod[o.Method] != nil {
			panic(fmt.Sprintf("operation %s is registered twice", o.Method))
		}
		r.byMethod[o.Method] = o
		if o.Verb == "" {
			continue
		}
		if route := o.Verb + " " + o.Path; routes[route] {
			panic(fmt.Sprintf("route %s is registered twice", route))
		} else {
			routes[route] = true
		}
	}
	slices.SortFunc(r.all, func(a, b *Operation) int { return strings.Compare(a.Method, b.Method) })
	return r
}

// Lookup returns the operation called method.
func (r *Registry) Lookup(method string) (*Operation, bool) {
	o, ok := r.byMethod[method]
	return o, ok
}

// Operations returns all operations, sorted by name.
func (r *Registry) Operations() []*Operation { return slices.Clone(r.all) }

// define completes an operation with its typed function.
func define[In, Out any](o *Operations, op Operation, run func(context.Context, Caller, In) (Out, error)) *Operation {
	op.Input, op.Output = reflect.TypeFor[In](), reflect.TypeFor[Out]()
	if op.Status == 0 {
		op.Status = http.StatusOK
	}
	op.call = func(ctx context.Context, caller Caller, params json.RawMessage) (any, error) {
		if err := o.admitted(op.Limit, caller); err != nil {
			return nil, err
		}
		if op.Admin { // before anything is said of the request
			if err := o.administers(ctx, caller); err != nil {
				return nil, settled(err)
			}
		}
		var in In
		if err := decode(params, &in); err != nil {
			return nil, err
		}
		out, err := perform(ctx, o, op, caller, in, run)
		if err != nil {
			return nil, settled(err)
		}
		return out, nil
	}
	return &op
}

// perform runs an operation within the bounds of its kind.
func perform[In, Out any](
	ctx context.Context, o *Operations, op Operation, caller Caller, in In, run func(context.Context, Caller, In) (Out, error),
) (any, error) {
	if op.Changes {
		return run(ctx, caller, in)
	}
	if op.Large {
		end, err := o.large.take(ctx, caller.Session)
		if err != nil {
			return nil, err
		}
		defer end()
	}
	ctx, cancel := context.WithTimeout(ctx, o.ReadTimeout)
	defer cancel()
	out, err := run(ctx, caller, in)
	if err != nil {
		return nil, late(ctx, err)
	}
	if !op.Large {
		return out, nil
	}
	// Encoded while its turn lasts: from here on there is one copy of the answer, and it is the transport's.
	text, err := Encode(out)
	return encoded(text), err
}
