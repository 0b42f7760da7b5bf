package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
)

// maxProblems is how many problems are listed.
const maxProblems = 20

// Summary is what a file holds.
type Summary struct {
	Lines, Users, Groups, Members, Messages int
}

// Users says whether there is an account of a name.
type Users interface {
	Exists(ctx context.Context, username string) (bool, error)
}

// checker is what is known of a file so far.
type checker struct {
	ctx      context.Context //nolint:containedctx // it lives as long as one check
	users    Users
	now      time.Time
	limits   conversation.Limits
	summary  Summary
	accounts map[string]bool
	groups   map[string]map[string]*membership
	messages map[string]place
	// line is the one that is checked, and open the groups whose members see everything.
	line int
	open map[string]bool
}

// place is where a message stands: what it belongs to, and its line.
type place struct {
	about string
	line  int
}

// membership is a user's in a group of the file, from a line on.
type membership struct {
	from        int
	left, owner bool
}

// Check reads a file and returns what it holds, or an error that names lines and what is wrong with each. Nothing is
// written.
func Check(ctx context.Context, r io.Reader, users Users, limits conversation.Limits, now time.Time) (Summary, error) {
	c := &checker{
		ctx: ctx, users: users, now: now, limits: limits,
		accounts: make(map[string]bool), groups: make(map[string]map[string]*membership), messages: make(map[string]place), open: make(map[string]bool),
	}
	var problems []error
	err := lines(r, func(number int, text []byte) error {
		c.summary.Lines++
		c.line = number
		s, err := parse(text)
		if err == nil {
			err = s.check(c)
		}
		if err == nil {
			return ctx.Err()
		}
		problems = append(problems, fmt.Errorf("line %d: %w", number, err))
		if len(problems) == maxProblems {
			return errors.New("and maybe more")
		}
		return ctx.Err()
	})
	if err != nil {
		problems = append(problems, err)
	}
	return c.summary, errors.Join(problems...)
}

func (l *userLine) check(c *checker) error {
	name, err := account.Username(l.Username)
	if err != nil {
		return err
	}
	if l.PasswordHash != "" && !strings.HasPrefix(l.PasswordHash, "$argon2id$") {
		return errors.New("password_hash is no hash of argon2id in the PHC string format: leave it out and set a password later")
	}
	if err := c.time("created_at", l.CreatedAt); err != nil {
		return err
	}
	stamp := domain.NewStamp("", l.CreatedAt)
	facts, err := account.Decide(account.State{}, account.Register{Stamp: stamp, Username: name, DisplayName: l.DisplayName})
	if err != nil {
		return err
	}
	state := account.Evolve(account.State{}, domain.Event{At: stamp.At, Data: facts[0]})
	if _, err := account.Decide(state, account.Update{Stamp: stamp, AvatarURL: &l.AvatarURL}); err != nil {
		return err
	}
	if c.accounts[name] {
		return fmt.Errorf("user %s is in the file twice", name)
	}
	l.Username, c.accounts[name] = name, true
	c.summary.Users++
	return nil
}

func (l *groupLine) check(c *checker) error {
	if c.groups[l.ID] != nil {
		return fmt.Errorf("group %s is in the file twice", l.ID)
	}
	if err := c.id(l.ID); err != nil {
		return err
	}
	if err := c.time("created_at", l.CreatedAt); err != nil {
		return err
	}
	if err := c.user("owner", &l.Owner); err != nil {
		return err
	}
	if l.History != "" && l.History != conversation.Joined && l.History != conversation.All {
		return errors.New("history is joined or all")
	}
	members := map[string]*membership{}
	for _, name := range l.Members {
		if err := c.user("a member", &name); err != nil {
			return err
		}
		members[name] = &membership{from: c.line}
	}
	members[l.Owner] = &membership{from: c.line, owner: true}
	c.open[l.ID] = l.History == conversation.All
	create := conversation.CreateGroup{
		Stamp: domain.NewStamp("u", l.CreatedAt), Title: l.Title, AvatarURL: l.AvatarURL, Join: l.Join, Limits: c.limits,
	}
	if _, err := conversation.Decide(conversation.State{}, create); err != nil {
		return err
	}
	c.groups[l.ID] = members
	c.summary.Groups++
	return nil
}

func (l *memberLine) check(c *checker) error {
	members, err := c.group(l.Group)
	if err != nil {
		return err
	}
	if err := errors.Join(c.user("user", &l.User), c.time("at", l.At)); err != nil {
		return err
	}
	if members[l.User] != nil {
		return fmt.Errorf("%s is or was a member of %s already: one membership of each is imported", l.User, l.Group)
	}
	if l.Role != "" && l.Role != domain.Admin && l.Role != domain.Member {
		return errors.New("role is admin or member; the owner stands with the group")
	}
	members[l.User] = &membership{from: c.line}
	c.summary.Members++
	return nil
}

func (l *leftLine) check(c *checker) error {
	members, err := c.group(l.Group)
	if err != nil {
		return err
	}
	if err := errors.Join(c.user("user", &l.User), c.time("at", l.At)); err != nil {
		return err
	}
	if m := members[l.User]; m == nil || m.left {
		return fmt.Errorf("%s is no member of %s here", l.User, l.Group)
	} else if m.owner {
		return fmt.Errorf("%s owns %s, and its owner does not leave: name another owner", l.User, l.Group)
	}
	members[l.User].left = true
	c.summary.Members++
	return nil
}

func (l *messageLine) check(c *checker) error {
	if (l.Group == "") == (l.To == "") {
		return errors.New("a message has either group or to")
	}
	if c.messages[l.ID].line > 0 {
		return fmt.Errorf("message %s is in the file twice", l.ID)
	}
	if err := errors.Join(c.id(l.ID), c.user("sender", &l.Sender), c.time("at", l.At)); err != nil {
		return err
	}
	if l.Group != "" {
		members, err := c.group(l.Group)
		if err != nil {
			return err
		}
		if m := members[l.Sender]; m == nil || m.left {
			return fmt.Errorf("%s is no member of %s here", l.Sender, l.Group)
		}
	} else if err := c.user("to", &l.To); err != nil {
		return err
	} else if l.To == l.Sender {
		return errors.New("nobody writes to oneself")
	}
	if err := c.answers(l); err != nil {
		return err
	}
	if err := checkMessage(l, c.limits); err != nil {
		return err
	}
	c.messages[l.ID] = place{l.about(), c.line}
	c.summary.Messages++
	return nil
}

// answers refuses a reply to what is no message that its sender sees.
func (c *checker) answers(l *messageLine) error {
	if l.ReplyTo == "" {
		return nil
	}
	answered := c.messages[l.ReplyTo]
	if answered.about != l.about() {
		return fmt.Errorf("reply_to %s is no earlier message of this conversation", l.ReplyTo)
	}
	if l.Group != "" && !c.open[l.Group] && answered.line < c.groups[l.Group][l.Sender].from {
		return fmt.Errorf("reply_to %s was said before %s came: give the group the history all", l.ReplyTo, l.Sender)
	}
	return nil
}

// checkMessage decides the message in a conversation of its own.
func checkMessage(l *messageLine, limits conversation.Limits) error {
	placement := domain.Placement{Partitions: 1}
	a, b := placement.User("a"), placement.User("b")
	_, err := pair.Decide(pair.State{}, pair.Send{To: b, Message: conversation.SendMessage{
		Stamp: domain.NewStamp(a, l.At), ClientID: Prefix + l.ID, Body: l.Body, Limits: limits,
	}})
	return err
}

func (c *checker) group(id string) (map[string]*membership, error) {
	if c.groups[id] == nil {
		return nil, fmt.Errorf("group %q is not in the file before this line", id)
	}
	return c.groups[id], nil
}

// user folds a name, and finds that there is or will be such a user.
func (c *checker) user(what string, name *string) error {
	folded, err := account.Username(*name)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	*name = folded
	if c.accounts[folded] {
		return nil
	}
	there, err := c.users.Exists(c.ctx, folded)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("%s: there is no user %s, neither here nor in the file before this line", what, folded)
	}
	c.accounts[folded] = true
	return nil
}

func (c *checker) id(id string) error {
	if id == "" {
		return errors.New("id is missing")
	}
	return conversation.CheckClientID(Prefix+id, c.limits)
}

// time refuses times that an event cannot have: before 1970, or still to come.
func (c *checker) time(name string, at time.Time) error {
	switch {
	case at.IsZero():
		return fmt.Errorf("%s is missing", name)
	case at.Unix() < 0:
		return fmt.Errorf("%s is before 1970", name)
	case at.After(c.now):
		return fmt.Errorf("%s is still to come", name)
	default:
		return nil
	}
}
