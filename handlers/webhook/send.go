package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Request is one POST.
type Request struct {
	URL    string
	Secret []byte
	// ID is the same each time the same is sent.
	ID   string
	Body []byte
	// Headers are added to those of the signature; nil for none.
	Headers map[string]string
}

// RefusedError is an answer of a receiver that is not 2xx.
type RefusedError struct {
	Status int
	// RetryAfter is how long the receiver wants to be left alone; zero where it does not say.
	RetryAfter time.Duration
}

// Error names the status.
func (r *RefusedError) Error() string {
	text := http.StatusText(r.Status)
	if r.Status >= 300 && r.Status < 400 {
		text += ", which is not followed"
	}
	return fmt.Sprintf("the receiver answered %d %s", r.Status, text)
}

// About says whether the answer is about what was sent, so that sending it again will not help unless the receiver is
// changed.
func (r *RefusedError) About() bool {
	switch r.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	default:
		return false
	}
}

// busy says whether the receiver, or what stands before it, could not look at what was sent.
func (r *RefusedError) busy() bool {
	switch r.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// SenderConfig is what a Sender may be given. The zero value works.
type SenderConfig struct {
	// AllowPrivate lets requests go to addresses that are not public.
	AllowPrivate bool
	// Timeout bounds one request from its start to the end of its answer. The default is 15 seconds.
	Timeout time.Duration
}

// Sender makes requests. It keeps connections open; Close ends those that are idle.
type Sender struct {
	client  *http.Client
	timeout time.Duration
}

// NewSender returns a sender.
func NewSender(c SenderConfig) *Sender {
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !c.AllowPrivate {
		dialer.Control = refusePrivate
	}
	return &Sender{timeout: c.Timeout, client: &http.Client{
		// A proxy would be what is connected to, and not the address that is guarded against.
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes connections that are idle.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// maxAnswer is how much of an answer is read, so that its connection can be used again.
const maxAnswer = 16 << 10

// Send makes a signed request and returns nil when the receiver answers 2xx, a *RefusedError for any other answer, and what went
// wrong where there was none.
func (s *Sender) Send(ctx context.Context, r Request) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return fmt.Errorf("the address cannot be used: %w", err)
	}
	at := time.Now()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "mpim-webhook/1")
	request.Header.Set(IDHeader, r.ID)
	request.Header.Set(TimestampHeader, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(SignatureHeader, Sign(r.Secret, r.ID, at, r.Body))
	for name, value := range r.Headers {
		request.Header.Set(name, value)
	}
	response, err := s.client.Do(request)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("the receiver did not answer within %s", s.timeout)
		}
		// The client's own error repeats the address, which may hold a secret.
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return fmt.Errorf("the receiver cannot be reached: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // what it says does not matter
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return nil
	}
	return &RefusedError{Status: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), at)}
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3); zero for anything else.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
