package account

import (
	"encoding/json"
	"strings"

	"mpim/domain"
)

// PublishNotice tells many users something. It is given to the account with the empty name, which nobody can register: all
// notices are there, so they are in one order. That who gives it may, and that whom it is for exist, was checked.
type PublishNotice struct {
	domain.Stamp
	Title, Text string
	To          domain.Recipients
	// Priority is Low, Normal or High; empty for Normal.
	Priority string
}

// Priorities of notices: what a client makes of them is its own matter.
const (
	Low    = "low"
	Normal = "normal"
	High   = "high"
)

// Limits of a notice, in characters.
const (
	MaxNoticeTitle = 128
	MaxNoticeText  = 4096
)

func (PublishNotice) command() {}

func decidePublishNotice(c PublishNotice) ([]domain.Fact, error) {
	if strings.TrimSpace(c.Title) == "" || strings.TrimSpace(c.Text) == "" {
		return nil, domain.Errorf(domain.InvalidArgument, "a notice has a title and a text")
	}
	if err := domain.CheckName("title", c.Title, MaxNoticeTitle); err != nil {
		return nil, err
	}
	if err := domain.CheckText("text", c.Text, MaxNoticeText); err != nil {
		return nil, err
	}
	if err := c.To.Check(); err != nil {
		return nil, err
	}
	priority := c.Priority
	switch priority {
	case "":
		priority = Normal
	case Low, Normal, High:
	default:
		return nil, domain.Errorf(domain.InvalidArgument, "priority is %q, %q or %q", Low, Normal, High)
	}
	to, err := json.Marshal(c.To)
	if err != nil {
		return nil, domain.Wrap(domain.Internal, err, "write recipients")
	}
	return []domain.Fact{&domain.NoticePublished{Title: c.Title, Text: c.Text, To: to, Priority: priority}}, nil
}
