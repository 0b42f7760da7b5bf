package domaintest_test

import (
	"strings"
	"testing"

	"mpim/domain"
	"mpim/domain/domaintest"
)

// counter is an aggregate that adds members and knows who was the last; sound is how it ought to be.
type counter struct{ first, last string }

type add struct {
	domain.Stamp
	user domain.UserID
}

func sound() domaintest.Rules[counter, add] {
	return domaintest.Rules[counter, add]{
		Needs: func(add) []string { return []string{"first", "last"} },
		Load:  func(f domain.Fields) (counter, error) { return counter{f["first"], f["last"]}, nil },
		Decide: func(s counter, c add) ([]domain.Fact, error) {
			if strings.HasPrefix(s.last, string(c.user)) {
				return nil, domain.Errorf(domain.Conflict, "twice")
			}
			return []domain.Fact{&domain.MemberAdded{User: c.user}}, nil
		},
		Evolve: func(s counter, e domain.Event) counter {
			s.last = string(e.Data.(*domain.MemberAdded).User) + " " + e.Seq.String()
			if s.first == "" {
				s.first = s.last
			}
			return s
		},
		Touched: func(domain.Event) []string { return []string{"first", "last"} },
		Store: func(s counter, field string) (string, bool) {
			value := map[string]string{"first": s.first, "last": s.last}[field]
			return value, value != ""
		},
	}
}

func TestSoundRulesPass(t *testing.T) {
	l := domaintest.New(sound())
	for _, user := range []domain.UserID{"ann", "bob", "ann"} {
		if _, refused, err := l.Give(add{user: user}); refused != nil || err != nil {
			t.Fatal(refused, err)
		}
	}
	if _, refused, err := l.Give(add{user: "ann"}); domain.CodeOf(refused) != domain.Conflict || err != nil {
		t.Error(refused, err)
	}
	if l.Fields["first"] != "ann 1" || l.Fields["last"] != "ann 3" || len(l.Events) != 3 {
		t.Errorf("got %q after %v", l.Fields, l.Events)
	}
}

func TestContradictionsAreFound(t *testing.T) {
	for name, spoil := range map[string]func(*domaintest.Rules[counter, add]){
		"decides on a field it does not name": func(r *domaintest.Rules[counter, add]) {
			r.Needs = func(add) []string { return []string{} }
		},
		"changes a field it does not touch": func(r *domaintest.Rules[counter, add]) {
			r.Touched = func(domain.Event) []string { return []string{"first"} }
		},
		"does not read what it stores": func(r *domaintest.Rules[counter, add]) {
			r.Load = func(f domain.Fields) (counter, error) { return counter{first: f["first"]}, nil }
		},
		"waits for a sequence that never comes": func(r *domaintest.Rules[counter, add]) {
			r.Store = func(counter, string) (string, bool) { return domain.Pending(7).String(), true }
		},
		"adds more than a commit holds": func(r *domaintest.Rules[counter, add]) {
			r.Decide = func(counter, add) ([]domain.Fact, error) { return make([]domain.Fact, domain.MaxCommitEvents+1), nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			rules := sound()
			spoil(&rules)
			l := domaintest.New(rules)
			for _, user := range []domain.UserID{"ann", "bob", "bob"} {
				if _, _, err := l.Give(add{user: user}); err != nil {
					return
				}
			}
			t.Error("nothing was found")
		})
	}
}
