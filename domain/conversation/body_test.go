package conversation_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
)

func TestWhatCanBeSaid(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*conversation.SendMessage)
		want   domain.Code
	}{
		{name: "a word", change: func(*conversation.SendMessage) {}},
		{name: "spaces", change: func(c *conversation.SendMessage) { c.Body.Text = " \n" }},
		{name: "at the limit", change: func(c *conversation.SendMessage) { c.Body.Text = strings.Repeat("x", 16<<10) }},
		{name: "over the limit", change: func(c *conversation.SendMessage) { c.Body.Text = strings.Repeat("x", 16<<10+1) }, want: domain.TooLarge},
		{name: "without a limit", change: func(c *conversation.SendMessage) {
			c.Body.Text, c.ClientID, c.Limits = strings.Repeat("x", 1<<20), strings.Repeat("x", 100), conversation.Limits{}
		}},
		{name: "nothing", change: func(c *conversation.SendMessage) { c.Body.Text = "" }, want: domain.InvalidArgument},
		{name: "NUL", change: func(c *conversation.SendMessage) { c.Body.Text = "a\x00b" }, want: domain.InvalidArgument},
		{name: "not UTF-8", change: func(c *conversation.SendMessage) { c.Body.Text = "a\xffb" }, want: domain.InvalidArgument},
		{name: "half a surrogate pair", change: func(c *conversation.SendMessage) { c.Body.Text = "\xed\xa0\x80" }, want: domain.InvalidArgument},
		{name: "no type", change: func(c *conversation.SendMessage) { c.Body.Type = "" }, want: domain.InvalidArgument},
		{name: "unknown type", change: func(c *conversation.SendMessage) { c.Body.Type = "video" }, want: domain.InvalidArgument},
		{name: "a text with an address", change: func(c *conversation.SendMessage) { c.Body.URL = "x" }, want: domain.InvalidArgument},
		{name: "a text with data", change: func(c *conversation.SendMessage) { c.Body.Data = json.RawMessage("{}") }, want: domain.InvalidArgument},
		{name: "no client id", change: func(c *conversation.SendMessage) { c.ClientID = "" }, want: domain.InvalidArgument},
		{name: "64 characters", change: func(c *conversation.SendMessage) { c.ClientID = strings.Repeat("安", 64) }},
		{name: "65 characters", change: func(c *conversation.SendMessage) { c.ClientID = strings.Repeat("安", 65) }, want: domain.InvalidArgument},
		{name: "client id with NUL", change: func(c *conversation.SendMessage) { c.ClientID = "\x00" }, want: domain.InvalidArgument},
		{name: "a file", change: file("https://files.example/1")},
		{name: "a file that runs", change: file("javascript:alert(1)"), want: domain.InvalidArgument},
		{name: "a file without an address", change: file(""), want: domain.InvalidArgument},
		{name: "a file with a text", change: func(c *conversation.SendMessage) { file("https://a.example")(c); c.Body.Text = "x" }, want: domain.InvalidArgument},
		{name: "a file with a negative size", change: func(c *conversation.SendMessage) { file("https://a.example")(c); c.Body.Size = new(int64(-1)) }, want: domain.InvalidArgument},
		{name: "a file whose name breaks lines", change: func(c *conversation.SendMessage) { file("https://a.example")(c); c.Body.Name = "a\nb" }, want: domain.InvalidArgument},
		{name: "a file over the limit", change: func(c *conversation.SendMessage) {
			file("https://a.example")(c)
			c.Body.Name = strings.Repeat("x", 16<<10)
		}, want: domain.TooLarge},
		{name: "custom", change: custom(`{"a":[1,{"b":null}]}`)},
		{name: "custom with nothing", change: custom(`{}`)},
		{name: "custom without data", change: custom(``), want: domain.InvalidArgument},
		{name: "custom null", change: custom(`null`), want: domain.InvalidArgument},
		{name: "custom array", change: custom(`[]`), want: domain.InvalidArgument},
		{name: "custom text", change: custom(`"a"`), want: domain.InvalidArgument},
		{name: "custom over the limit", change: custom(`{"a":"` + strings.Repeat("x", 16<<10) + `"}`), want: domain.TooLarge},
		{name: "custom with a text", change: func(c *conversation.SendMessage) { custom(`{}`)(c); c.Body.Text = "x" }, want: domain.InvalidArgument},
		{name: "a reply to nothing", change: func(c *conversation.SendMessage) { c.ReplyTo = 1 }, want: domain.NotFound},
		{name: "a reply to what is not there yet", change: func(c *conversation.SendMessage) { c.ReplyTo = -1 }, want: domain.InvalidArgument},
		{name: "a reply", change: func(c *conversation.SendMessage) {
			c.ReplyTo, c.Answered = 1, conversation.Facts{Sender: bob, At: start}
		}},
		{name: "a reply to what is gone", change: func(c *conversation.SendMessage) {
			c.ReplyTo, c.Answered = 1, conversation.Facts{Sender: bob, At: start, Recalled: true}
		}, want: domain.FailedPrecondition},
		{name: "a reply to what has just expired", change: func(c *conversation.SendMessage) {
			c.ReplyTo, c.Answered = 1, conversation.Facts{Sender: bob, At: start, ExpiresAt: start}
		}, want: domain.FailedPrecondition},
		{name: "mentions all", change: func(c *conversation.SendMessage) { c.Mentions = []string{domain.MentionAll} }},
		{name: "mentions a member, twice", change: func(c *conversation.SendMessage) { c.Mentions = []string{string(ann), string(ann)} }},
		{name: "mentions a stranger", change: func(c *conversation.SendMessage) { c.Mentions = []string{string(eve)} }, want: domain.InvalidArgument},
		{name: "mentions no user", change: func(c *conversation.SendMessage) { c.Mentions = []string{"x"} }, want: domain.InvalidArgument},
		{name: "mentions too many", change: func(c *conversation.SendMessage) {
			c.Mentions = slices.Repeat([]string{string(ann)}, conversation.MaxMentions+1)
		}, want: domain.TooLarge},
		{name: "expires", change: func(c *conversation.SendMessage) { c.ExpiresIn = time.Second }},
		{name: "expires before it is there", change: func(c *conversation.SendMessage) { c.ExpiresIn = -time.Second }, want: domain.InvalidArgument},
		{name: "expires too late", change: func(c *conversation.SendMessage) { c.ExpiresIn = conversation.MaxExpiry + 1 }, want: domain.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := group(t)
			c := send(ann)
			test.change(&c)
			if test.want != "" {
				refuse(t, l, c, test.want)
				return
			}
			events := give(t, l, c)
			sent, ok := events[0].Data.(*domain.MessageSent)
			if !ok || len(events) != 1 || sent.Body.Text != c.Body.Text || sent.ClientID != c.ClientID {
				t.Errorf("got %+v", events)
			}
		})
	}
}

func file(url string) func(*conversation.SendMessage) {
	return func(c *conversation.SendMessage) {
		c.Body = domain.Body{Type: domain.FileBody, URL: url, Name: "a.pdf", Size: new(int64(1)), MIME: "application/pdf"}
	}
}

func custom(data string) func(*conversation.SendMessage) {
	return func(c *conversation.SendMessage) {
		c.Body = domain.Body{Type: domain.CustomBody, Data: json.RawMessage(data)}
	}
}

// An edit is held to the same rules.
func TestWhatAnEditCanSay(t *testing.T) {
	l := group(t)
	sent := give(t, l, send(ann))[0]
	edit := conversation.EditMessage{
		Stamp: by(ann), Message: sent.Seq, Facts: conversation.Facts{Sender: ann, At: start}, Body: text(""), Limits: limits,
	}
	refuse(t, l, edit, domain.InvalidArgument)
	edit.Body = text(strings.Repeat("x", 16<<10+1))
	refuse(t, l, edit, domain.TooLarge)
	edit.Body = domain.Body{Type: domain.FileBody}
	refuse(t, l, edit, domain.InvalidArgument)
	edit.Body, edit.Message = text("x"), 0
	refuse(t, l, edit, domain.InvalidArgument)
	edit.Message, edit.Limits.EditWindow, edit.Stamp = sent.Seq, 0, domain.NewStamp(ann, start.AddDate(10, 0, 0))
	give(t, l, edit)
}
