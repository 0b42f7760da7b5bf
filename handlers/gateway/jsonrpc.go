package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"mpim/domain"
)

// request is one JSON-RPC request, or what stood in its place.
type request struct {
	// id is the JSON text of the id; nil for a notification, which gets no answer.
	id     []byte
	method string
	params json.RawMessage
	// err says why this is no request; nil where it is one.
	err *rpcError
}

// rpcError is a JSON-RPC error object.
type rpcError struct {
	number  int
	code    domain.Code
	message string
	// retryAfter is in milliseconds; 0 where it is left out.
	retryAfter int64
	// requestID is where an internal error is found in the log.
	requestID string
}

// Numbers of the specification (https://www.jsonrpc.org/specification#error_object).
const (
	numberParse          = -32700
	numberInvalidRequest = -32600
	numberUnknownMethod  = -32601
)

// numbers are the JSON-RPC error codes of the client protocol.
var numbers = map[domain.Code]int{
	domain.InvalidArgument:    -32602,
	domain.Unauthenticated:    -32001,
	domain.PermissionDenied:   -32003,
	domain.NotFound:           -32004,
	domain.Conflict:           -32009,
	domain.FailedPrecondition: -32010,
	domain.TooLarge:           -32013,
	domain.RateLimited:        -32029,
	domain.Unavailable:        -32050,
	domain.Internal:           -32603,
}

var (
	errNotJSON = &rpcError{number: numberParse, code: domain.InvalidArgument, message: "the frame is no valid JSON"}
	errNotText = &rpcError{number: numberParse, code: domain.InvalidArgument, message: "a frame is text, not binary"}
	errEmpty   = invalidRequest("a batch has at least one request")
)

func invalidRequest(message string) *rpcError {
	return &rpcError{number: numberInvalidRequest, code: domain.InvalidArgument, message: message}
}

// asRPC turns any error into what the client may see of it. The id is that of the log line for an internal one.
func asRPC(err error, requestID string) *rpcError {
	e, ok := errors.AsType[*domain.Error](err)
	if !ok || e.Code == domain.Internal {
		return &rpcError{
			number: numbers[domain.Internal], code: domain.Internal, requestID: requestID,
			message: "something went wrong here; the log tells more under this request id",
		}
	}
	return &rpcError{
		number: numbers[e.Code], code: e.Code, message: e.Message,
		retryAfter: retryAfter(e.RetryAfter),
	}
}

// retryAfter returns whole milliseconds, rounded up so that nobody comes too early.
func retryAfter(d time.Duration) int64 { return (d + time.Millisecond - 1).Milliseconds() }

// parseFrame takes a frame apart. It keeps parts of the frame, and returns an error where it is no JSON, or a batch of none
// or of more than most requests.
func parseFrame(frame []byte, most int) (requests []request, batch bool, fault *rpcError) {
	frame = bytes.TrimSpace(frame)
	if !jsontext.Value(frame).IsValid() {
		return nil, false, errNotJSON
	}
	if frame[0] != '[' {
		return []request{parseRequest(frame)}, false, nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(frame), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return nil, true, errNotJSON
	}
	for d.PeekKind() != ']' {
		if len(requests) == most {
			return nil, true, &rpcError{
				number: numbers[domain.TooLarge], code: domain.TooLarge,
				message: "a batch has at most " + strconv.Itoa(most) + " requests",
			}
		}
		value, err := d.ReadValue()
		if err != nil {
			return nil, true, errNotJSON
		}
		requests = append(requests, parseRequest(bytes.Clone(value)))
	}
	if len(requests) == 0 {
		return nil, true, errEmpty
	}
	return requests, true, nil
}

// parseRequest reads one valid JSON value as a request.
func parseRequest(value []byte) request {
	var members struct {
		Version jsontext.Value `json:"jsonrpc"`
		ID      jsontext.Value `json:"id"`
		Method  jsontext.Value `json:"method"`
		Params  jsontext.Value `json:"params"`
	}
	if jsontext.Value(value).Kind() != '{' || jsonv2.Unmarshal(value, &members) != nil {
		return request{err: invalidRequest("a request is an object")}
	}
	r := request{id: members.ID, params: json.RawMessage(members.Params)}
	if kind := members.ID.Kind(); members.ID != nil && kind != '"' && kind != '0' {
		return request{err: invalidRequest("an id is a string or a number")}
	}
	if members.Version == nil || string(members.Version) != `"2.0"` {
		r.err = invalidRequest(`the member jsonrpc is "2.0"`)
	}
	if members.Method.Kind() != '"' || jsonv2.Unmarshal(members.Method, &r.method) != nil {
		r.err = invalidRequest("a request has a method")
	}
	if r.err != nil && r.id == nil {
		// Without an id, what is no request is answered with a null one: nobody can tell that it was meant as a notification.
		r.id = nullID
	}
	return r
}

var nullID = []byte("null")

// resultFrame returns the answer to a request that succeeded.
func resultFrame(id, result []byte) []byte {
	b := make([]byte, 0, len(id)+len(result)+40)
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"result":`...)
	b = append(b, result...)
	return append(b, '}')
}

// errorFrame returns the answer to a request that failed; the id is null where it is nil.
func errorFrame(id []byte, e *rpcError) []byte {
	if id == nil {
		id = nullID
	}
	b := make([]byte, 0, len(id)+len(e.message)+140)
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"error":{"code":`...)
	b = strconv.AppendInt(b, int64(e.number), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, e.message)
	b = append(b, `,"data":{"code":`...)
	b = appendString(b, string(e.code))
	if e.retryAfter > 0 {
		b = append(b, `,"retry_after_ms":`...)
		b = strconv.AppendInt(b, e.retryAfter, 10)
	}
	if e.requestID != "" {
		b = append(b, `,"request_id":`...)
		b = appendString(b, e.requestID)
	}
	return append(b, `}}}`...)
}

func appendString(b []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(b, s)
	if err != nil {
		// Only invalid UTF-8 is refused, and what it is in is replaced.
		quoted, _ = jsontext.AppendQuote(b, "�")
	}
	return quoted
}

// notification returns a JSON-RPC notification. Params is JSON text.
func notification(method string, params []byte) []byte {
	b := make([]byte, 0, len(method)+len(params)+40)
	b = append(b, `{"jsonrpc":"2.0","method":"`...)
	b = append(b, method...)
	b = append(b, `","params":`...)
	b = append(b, params...)
	return append(b, '}')
}
