package account_test

import (
	"strings"
	"testing"

	"mpim/domain"
	"mpim/domain/account"
)

func TestNotices(t *testing.T) {
	l := newLog()
	events := give(t, l, account.PublishNotice{Stamp: at(0), Title: "Maintenance", Text: "Tonight", To: domain.Recipients{Conversation: "g1"}})
	fact, ok := events[0].Data.(*domain.NoticePublished)
	if !ok || fact.Priority != account.Normal || string(fact.To) != `{"conversation":"g1"}` {
		t.Errorf("got %+v", events[0].Data)
	}
	if len(l.Fields) != 0 {
		t.Errorf("a notice left %v in the state", l.Fields)
	}
	for _, c := range []account.PublishNotice{
		{Title: " ", Text: "x"},
		{Title: "x", Text: "\n"},
		{Title: "a\nb", Text: "x"},
		{Title: "x", Text: "a\x00b"},
		{Title: "x", Text: "y", Priority: "urgent"},
		{Title: "x", Text: "y", To: domain.Recipients{Roles: []domain.Role{domain.Owner}}},
	} {
		refuse(t, l, c, domain.InvalidArgument)
	}
	refuse(t, l, account.PublishNotice{Title: strings.Repeat("t", account.MaxNoticeTitle+1), Text: "x"}, domain.TooLarge)
	refuse(t, l, account.PublishNotice{Title: "t", Text: strings.Repeat("t", account.MaxNoticeText+1)}, domain.TooLarge)
}
