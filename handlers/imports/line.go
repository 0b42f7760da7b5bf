package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mpim/domain"
)

// Prefix stands before a message's id of the file in its client id.
const Prefix = "import:"

// The lines of a file.
type (
	userLine struct {
		Username    string    `json:"username"`
		DisplayName string    `json:"display_name"`
		AvatarURL   string    `json:"avatar_url"`
		CreatedAt   time.Time `json:"created_at"`
		// PasswordHash is of argon2id, in the PHC string format; without one nobody logs in until a password is set.
		PasswordHash string `json:"password_hash"`
	}
	groupLine struct {
		ID        string `json:"id"`
		Title     string `json:"title"`
		AvatarURL string `json:"avatar_url"`
		Join      string `json:"join"`
		// History is "joined" or "all"; empty for the first.
		History   string    `json:"history"`
		Owner     string    `json:"owner"`
		Members   []string  `json:"members"`
		CreatedAt time.Time `json:"created_at"`
	}
	memberLine struct {
		Group string      `json:"group"`
		User  string      `json:"user"`
		Role  domain.Role `json:"role"`
		At    time.Time   `json:"at"`
	}
	leftLine struct {
		Group string    `json:"group"`
		User  string    `json:"user"`
		At    time.Time `json:"at"`
	}
	messageLine struct {
		ID     string      `json:"id"`
		Group  string      `json:"group"`
		To     string      `json:"to"`
		Sender string      `json:"sender"`
		At     time.Time   `json:"at"`
		Body   domain.Body `json:"body"`
		// ReplyTo is the id of an earlier message of the conversation.
		ReplyTo string `json:"reply_to"`
	}
)

// step is one line, understood.
type step interface {
	// check finds what is wrong with the line, and notes what it brings.
	check(c *checker) error
	// about names what the line is about: lines about the same thing are applied in order.
	about() string
}

// kinds are the types of lines.
var kinds = map[string]func() step{
	"user":    func() step { return new(userLine) },
	"group":   func() step { return new(groupLine) },
	"member":  func() step { return new(memberLine) },
	"left":    func() step { return new(leftLine) },
	"message": func() step { return new(messageLine) },
}

func (l *userLine) about() string   { return "" }
func (l *groupLine) about() string  { return l.ID }
func (l *memberLine) about() string { return l.Group }
func (l *leftLine) about() string   { return l.Group }

func (l *messageLine) about() string {
	if l.Group != "" {
		return l.Group
	}
	a, b := strings.ToLower(l.Sender), strings.ToLower(l.To)
	return min(a, b) + "\x00" + max(a, b)
}

// parse reads one line. Members that are not known are refused: what would not be imported is not passed over.
func parse(text []byte) (step, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("no JSON object: %w", err)
	}
	create, ok := kinds[head.Type]
	if !ok {
		return nil, fmt.Errorf("type %q is not known: write user, group, member, left or message", head.Type)
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("no JSON object: %w", err)
	}
	delete(members, "type")
	rest, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	s := create()
	decoder := json.NewDecoder(bytes.NewReader(rest))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil {
		return nil, err
	}
	return s, nil
}

// maxLine bounds a line, in bytes.
const maxLine = 1 << 20

// lines calls each with the lines that are not empty, and their numbers.
func lines(r io.Reader, each func(number int, text []byte) error) error {
	reader := newLineReader(r)
	for number := 1; ; number++ {
		text, err := reader.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if err := each(number, text); err != nil {
			return err
		}
	}
}
