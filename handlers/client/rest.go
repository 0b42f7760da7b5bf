package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer: more than any that the protocol allows.
const maxAnswer = 2 << 20

// problem is a refusal over REST, RFC 9457.
type problem struct {
	Code       string `json:"code"`
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	RetryAfter int64  `json:"retry_after_ms"`
	RequestID  string `json:"request_id"`
}

// post sends a request that needs no socket: to log in, and to renew tokens before there is one.
func (c *Config) post(ctx context.Context, base, path string, body, result any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", base, err)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return refusal(answer, text)
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("read the answer of %s: %w", base, err)
	}
	return nil
}

func refusal(answer *http.Response, text []byte) error {
	var p problem
	if json.Unmarshal(text, &p) != nil || p.Code == "" {
		return fmt.Errorf("client: %s answered %s, which is no answer of MPIM", answer.Request.URL.Host, answer.Status)
	}
	message := p.Detail
	if message == "" {
		message = p.Title
	}
	return &Error{
		Code: p.Code, Message: message, RequestID: p.RequestID, RetryAfter: time.Duration(p.RetryAfter) * time.Millisecond,
	}
}
