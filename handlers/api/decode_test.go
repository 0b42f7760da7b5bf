package api_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// Each of them is refused by every operation before anything else is looked at.
var neverParams = map[string]string{
	`[]`: "array", `null`: "null", `"x"`: "string", `1`: "number",
	`{"no_such_member":1}`: "an unknown member",
	`{"Conversation":"x"}`: "a member in another case",
	`{`:                    "cut short", `{"a":1,"a":1}`: "twice the same", "{\"\xff\":1}": "invalid UTF-8", `{} {}`: "two values", `{"a":tru}`: "no JSON",
}

var notJSON = []string{"{", `{"a":1,"a":1}`, "{\"\xff\":1}", `{} {}`, `{"a":tru}`}

func TestEveryOperationRefusesWhatIsNotItsParams(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.Administrator(t, "alice")
	for _, operation := range b.Registry.Operations() {
		for params, name := range neverParams {
			if operation.Method == "session.create" {
				alice.RemoteAddr = params
			}
			_, err := b.Call(t, alice, operation.Method, params)
			if apitest.Code(err) != domain.InvalidArgument {
				t.Errorf("%s takes %s: %v", operation.Method, name, err)
			}
			if got, want := errors.Is(err, api.ErrSyntax), slices.Contains(notJSON, params); got != want {
				t.Errorf("%s of %s: no JSON is %v, want %v (%v)", operation.Method, name, got, want, err)
			}
		}
		if operation.Public {
			continue
		}
		_, err := b.Call(t, api.Caller{}, operation.Method, `{"no_such_member":1}`)
		if apitest.Code(err) != domain.Unauthenticated {
			t.Errorf("%s without a login: %v, want unauthenticated before anything else", operation.Method, err)
		}
	}
}

// bad are parameters that an operation refuses, by the code. $C is a conversation of the caller, $U its user,
// $B another.
var bad = map[string]map[domain.Code][]string{
	"admin.user.create": {
		domain.InvalidArgument: {`{}`, `{"username":"carol"}`, `{"username":"x","password":"long enough"}`, `{"username":"carol","password":"short"}`, `{"username":"carol","password":"long enough","administrator":"yes"}`},
		domain.Conflict:        {`{"username":"alice","password":"long enough"}`},
	},
	"admin.user.list":          {domain.InvalidArgument: {`{"limit":0}`, `{"limit":101}`, `{"after":1}`, `{"after_position":"x"}`}},
	"admin.user.get":           {domain.NotFound: {`{"user":"x"}`, `{"user":"@ghost"}`}, domain.InvalidArgument: {`{}`, `{"user":"$B","after_position":"x"}`}},
	"admin.user.suspend":       {domain.NotFound: {`{"user":"x"}`, `{"user":"@ghost"}`}, domain.InvalidArgument: {`{}`, `{"user":"$B","reason":1}`}, domain.FailedPrecondition: {`{"user":"$U"}`, `{"user":"@Alice"}`}, domain.TooLarge: {`{"user":"$B","reason":"` + strings.Repeat("r", 257) + `"}`}},
	"admin.user.restore":       {domain.NotFound: {`{"user":"x"}`, `{"user":"@ghost"}`}, domain.InvalidArgument: {`{}`}},
	"admin.user.password":      {domain.NotFound: {`{"user":"@ghost","password":"long enough"}`}, domain.InvalidArgument: {`{}`, `{"user":"$B"}`, `{"user":"$B","password":"short"}`}},
	"admin.user.administrator": {domain.NotFound: {`{"user":"x","administrator":true}`}, domain.InvalidArgument: {`{}`, `{"user":"$B"}`, `{"user":"$B","administrator":1}`}},
	"notice.publish": {
		domain.InvalidArgument: {
			`{}`, `{"title":"a","text":"b"}`, `{"title":"a","text":"b","to":"some"}`, `{"title":"a","text":"b","to":{}}`, `{"title":"a","text":"b","to":[]}`,
			`{"title":"a","text":"b","to":{"usr":["x"]}}`, `{"title":"","text":"b","to":"all"}`, `{"title":"a","text":" ","to":"all"}`,
			`{"title":"a","text":"b","to":"all","priority":"urgent"}`, `{"title":"a","text":"b","to":{"users":["$U"],"conversation":"$C"}}`,
			`{"title":"a","text":"b","to":{"users":["$U"],"roles":["owner"]}}`, `{"title":"a","text":"b","to":{"conversation":"$C","roles":["king"]}}`,
		},
		domain.NotFound: {`{"title":"a","text":"b","to":{"users":["x"]}}`, `{"title":"a","text":"b","to":{"conversation":"x"}}`},
		domain.TooLarge: {`{"title":"` + strings.Repeat("t", 129) + `","text":"b","to":"all"}`, `{"title":"a","text":"` + strings.Repeat("t", 4097) + `","to":"all"}`},
	},
	"notice.list":          {domain.InvalidArgument: {`{"limit":0}`, `{"limit":101}`, `{"after":"x"}`, `{"after_position":"x"}`}},
	"admin.session.list":   {domain.NotFound: {`{"user":"x"}`}, domain.InvalidArgument: {`{}`, `{"user":"$B","after_position":"x"}`}},
	"admin.session.revoke": {domain.NotFound: {`{"user":"x","session":"y"}`, `{"user":"$B","session":"y"}`}, domain.InvalidArgument: {`{}`, `{"user":"$B"}`}},
	"account.register": {
		domain.InvalidArgument: {
			`{}`, `{"username":"carol"}`, `{"password":"long enough"}`, `{"username":"x","password":"long enough"}`,
			`{"username":"ca rol","password":"long enough"}`, `{"username":"carol","password":"short"}`,
			`{"username":1,"password":"long enough"}`, `{"username":"carol","password":["long enough"]}`,
			`{"username":"carol","password":"long\u0000enough"}`, `{"username":"carol","password":"long enough","display_name":5}`,
			`{"username":"carol","password":"long \ud800 enough"}`,
		},
		domain.TooLarge: {
			`{"username":"` + strings.Repeat("c", 33) + `","password":"long enough"}`,
			`{"username":"carol","password":"` + strings.Repeat("p", 257) + `"}`,
			`{"username":"carol","password":"long enough","display_name":"` + strings.Repeat("n", 65) + `"}`,
		},
		domain.Conflict: {`{"username":"alice","password":"long enough"}`},
	},
	"session.create": {
		domain.InvalidArgument: {`{}`, `{"username":"alice"}`, `{"username":"alice","password":""}`, `{"username":"alice","password":1}`},
		domain.Unauthenticated: {`{"username":"alice","password":"wrong horse"}`, `{"username":"ghost","password":"wrong horse"}`, `{"username":"\u0001","password":"x"}`},
		domain.TooLarge:        {`{"username":"alice","password":"correct horse","device_id":"` + strings.Repeat("d", 200) + `"}`},
	},
	"session.refresh": {domain.Unauthenticated: {`{"refresh_token":"x"}`}, domain.InvalidArgument: {`{}`, `{"refresh_token":null}`, `{"refresh_token":1}`}},
	"session.revoke":  {domain.NotFound: {`{"session":"x"}`}, domain.InvalidArgument: {`{}`, `{"session":1}`}},
	"session.list":    {domain.InvalidArgument: {`{"after_position":"x"}`, `{"after_position":1}`}},
	"account.get":     {domain.InvalidArgument: {`{"after_position":"x"}`}},
	"account.update": {
		domain.InvalidArgument: {`{"display_name":1}`, `{"display_name":"a\nb"}`, `{"avatar_url":"javascript:alert(1)"}`, `{"strangers":"nobody"}`, `{"strangers":true}`, `{"username":"bob"}`},
		domain.TooLarge:        {`{"display_name":"` + strings.Repeat("n", 65) + `"}`, `{"avatar_url":"https://x/` + strings.Repeat("n", 2048) + `"}`},
	},
	"account.password": {
		domain.InvalidArgument:  {`{}`, `{"old_password":"correct horse"}`, `{"new_password":"long enough"}`, `{"old_password":"correct horse","new_password":"short"}`},
		domain.PermissionDenied: {`{"old_password":"wrong horse","new_password":"long enough"}`},
		domain.TooLarge:         {`{"old_password":"correct horse","new_password":"` + strings.Repeat("p", 257) + `"}`},
	},
	"user.list":       {domain.InvalidArgument: {`{}`, `{"id":"x"}`, `{"id":[1]}`, `{"id":null}`, `{"id":[],"after_position":"x"}`}, domain.TooLarge: {`{"id":["x"` + strings.Repeat(`,"x"`, 100) + `]}`}},
	"contact.accept":  {domain.NotFound: {`{"user":"x"}`, `{"user":"$B"}`}, domain.InvalidArgument: {`{}`, `{"user":1}`, `{"user":"$U"}`, `{"user":null}`}},
	"contact.decline": {domain.NotFound: {`{"user":"x"}`, `{"user":"$B"}`}, domain.InvalidArgument: {`{}`, `{"user":1}`, `{"user":"$U"}`}},
	"contact.remove":  {domain.NotFound: {`{"user":"x"}`}, domain.InvalidArgument: {`{}`, `{"user":[]}`, `{"user":"$U"}`}},
	"contact.request": {
		domain.NotFound:        {`{"user":"x"}`, `{"user":"@bob"}`},
		domain.InvalidArgument: {`{}`, `{"user":"$U"}`, `{"user":"$B","message":1}`, `{"user":"$B","message":"a\u0000b"}`},
		domain.TooLarge:        {`{"user":"$B","message":"` + strings.Repeat("x", 257) + `"}`},
	},
	"contact.remark": {
		domain.NotFound:        {`{"user":"x","remark":"y"}`, `{"user":"$B","remark":"no contact"}`},
		domain.InvalidArgument: {`{}`, `{"user":"$B"}`, `{"user":"$U","remark":"me"}`, `{"user":"$B","remark":1}`},
	},
	"contact.list":      {domain.InvalidArgument: {`{"after_position":"x"}`, `{"user":"$B"}`}},
	"block.list":        {domain.InvalidArgument: {`{"after_position":"x"}`}},
	"user.search":       {domain.InvalidArgument: {`{}`, `{"q":1}`, `{"q":"a","limit":0}`, `{"q":"a","limit":101}`, `{"q":"a","limit":"x"}`, `{"q":"a","after_position":"x"}`}},
	"user.block":        {domain.NotFound: {`{"user":"x"}`}, domain.InvalidArgument: {`{}`, `{"user":"$U"}`, `{"user":{}}`}},
	"user.unblock":      {domain.NotFound: {`{"user":"x"}`}, domain.InvalidArgument: {`{}`, `{"user":"$U"}`, `{"user":true}`}},
	"user.get":          {domain.NotFound: {`{"user":"x"}`, `{"user":"@"}`}, domain.InvalidArgument: {`{}`, `{"user":1}`}},
	"presence.get":      {domain.InvalidArgument: {`{}`, `{"users":null}`, `{"users":"x"}`, `{"users":[1]}`, `{"users":{}}`}},
	"presence.set":      {domain.InvalidArgument: {`{}`, `{"status":"offline"}`, `{"status":1}`, `{"status":"away","text":1}`}},
	"typing.set":        {domain.NotFound: {`{"conversation":"x","typing":true}`}, domain.InvalidArgument: {`{}`, `{"typing":true}`, `{"conversation":"$C"}`, `{"conversation":"$C","typing":"yes"}`}},
	"conversation.list": {domain.InvalidArgument: {`{"limit":0}`, `{"limit":201}`, `{"limit":"x"}`, `{"limit":1.5}`, `{"after":"x"}`, `{"after":1}`, `{"after_position":"0:x"}`}},
	"conversation.get":  {domain.NotFound: {`{"conversation":"x"}`, `{"conversation":"$U"}`}, domain.InvalidArgument: {`{}`, `{"conversation":1}`}},
	"conversation.settings": {
		domain.NotFound:        {`{"conversation":"x","pinned":true}`},
		domain.InvalidArgument: {`{}`, `{"conversation":"$C"}`, `{"conversation":"$C","pinned":1}`, `{"conversation":"$C","muted":"yes"}`, `{"pinned":true}`, `{"conversation":"$C","pinned":null}`},
	},
	"group.create": {
		domain.InvalidArgument: {
			`{}`, `{"title":""}`, `{"title":" "}`, `{"title":1}`, `{"title":"x","members":"y"}`, `{"title":"x","join":"maybe"}`,
			`{"title":"x","client_id":"` + strings.Repeat("c", 65) + `"}`,
		},
		domain.TooLarge: {`{"title":"` + strings.Repeat("t", 129) + `"}`},
		domain.NotFound: {`{"title":"x","members":["ghost"]}`},
	},
	"group.add": {
		domain.NotFound:        {`{"conversation":"x","users":["$U"]}`, `{"conversation":"$C","users":["ghost"]}`},
		domain.InvalidArgument: {`{}`, `{"conversation":"$C"}`, `{"conversation":"$C","users":[]}`, `{"conversation":"$C","users":"$U"}`},
	},
	"group.remove": {
		domain.NotFound:        {`{"conversation":"x","user":"$U"}`, `{"conversation":"$C","user":"ghost"}`},
		domain.InvalidArgument: {`{}`, `{"conversation":"$C","user":"$U"}`, `{"conversation":"$C","user":[]}`},
	},
	"group.join":     {domain.NotFound: {`{"conversation":"x"}`, `{"conversation":"$U"}`}, domain.InvalidArgument: {`{}`, `{"conversation":1}`}},
	"group.dissolve": {domain.NotFound: {`{"conversation":"x"}`}, domain.InvalidArgument: {`{}`, `{"conversation":null}`}},
	"group.update": {
		domain.NotFound: {`{"conversation":"x","title":"y"}`},
		domain.InvalidArgument: {
			`{}`, `{"conversation":"$C","title":""}`, `{"conversation":"$C","title":"a\nb"}`, `{"conversation":"$C","join":"maybe"}`,
			`{"conversation":"$C","history":"none"}`, `{"conversation":"$C","muted":"yes"}`, `{"conversation":"$C","avatar_url":"javascript:x"}`,
			`{"conversation":"$C","announcement":"\u0000"}`, `{"conversation":"$C","owner":"$U"}`,
		},
		domain.TooLarge: {
			`{"conversation":"$C","title":"` + strings.Repeat("t", 129) + `"}`, `{"conversation":"$C","announcement":"` + strings.Repeat("t", 4097) + `"}`,
		},
	},
	"group.role": {
		domain.NotFound:           {`{"conversation":"x","user":"$U","role":"admin"}`, `{"conversation":"$C","user":"ghost","role":"admin"}`},
		domain.InvalidArgument:    {`{}`, `{"conversation":"$C","user":"$U"}`, `{"conversation":"$C","user":"$U","role":"king"}`, `{"conversation":"$C","user":"$U","role":""}`},
		domain.FailedPrecondition: {`{"conversation":"$C","user":"$U","role":"member"}`},
	},
	"group.mute": {
		domain.NotFound: {`{"conversation":"x","user":"$U","until":null}`, `{"conversation":"$C","user":"ghost","until":null}`},
		domain.InvalidArgument: {
			`{}`, `{"conversation":"$C","user":"$U"}`, `{"conversation":"$C","user":"$U","until":1}`, `{"conversation":"$C","user":"$U","until":"tomorrow"}`,
			`{"conversation":"$C","user":"$U","until":"9999-12-31T23:59:59-01:00"}`, `{"conversation":"$C","user":"$U","until":"99999-12-31T23:59:59Z"}`,
		},
		domain.PermissionDenied: {`{"conversation":"$C","user":"$U","until":"2999-01-01T00:00:00+02:00"}`},
	},
	"message.react": {
		domain.InvalidArgument: {
			`{}`, `{"conversation":"$C","seq":2}`, `{"conversation":"$C","seq":2,"emoji":""}`, `{"conversation":"$C","seq":0,"emoji":"x"}`,
			`{"conversation":"$C","seq":2,"emoji":"a\nb"}`, `{"conversation":"$C","seq":2,"emoji":1}`, `{"conversation":"$C","seq":2,"emoji":"x","remove":"yes"}`,
		},
		domain.NotFound: {`{"conversation":"x","seq":2,"emoji":"x"}`, `{"conversation":"$C","seq":1,"emoji":"x"}`, `{"conversation":"$C","seq":9,"emoji":"x"}`},
		domain.TooLarge: {`{"conversation":"$C","seq":2,"emoji":"` + strings.Repeat("x", 33) + `"}`},
	},
	"message.unreact": {
		domain.InvalidArgument: {`{}`, `{"conversation":"$C","seq":2,"emoji":""}`, `{"conversation":"$C","seq":2,"emoji":"x","remove":true}`},
		domain.NotFound:        {`{"conversation":"x","seq":2,"emoji":"x"}`, `{"conversation":"$C","seq":9,"emoji":"x"}`},
	},
	"message.search": {
		domain.InvalidArgument: {
			`{}`, `{"q":""}`, `{"q":" "}`, `{"q":1}`, `{"q":"a\u0000"}`, `{"q":"x","limit":0}`, `{"q":"x","limit":101}`, `{"q":"hello","after":"x"}`,
			`{"q":"x","after_position":"?"}`, `{"q":"x","conversation":5}`,
		},
		domain.NotFound: {`{"q":"x","conversation":"x"}`},
		domain.TooLarge: {`{"q":"` + strings.Repeat("x", 257) + `"}`},
	},
	"message.schedule": {
		domain.InvalidArgument: {
			`{}`, `{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":null}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":1}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"tomorrow"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"2001-01-01T00:00:00Z"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"9999-12-31T23:59:59-12:00"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"0000-01-01T00:00:00Z"}`,
			`{"to":{},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"2999-01-01T00:00:00Z"}`,
			`{"to":{"user":"$U"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"2999-01-01T00:00:00Z"}`,
			`{"to":{"conversation":"$C"},"client_id":"","body":{"type":"text","text":"x"},"deliver_at":"2999-01-01T00:00:00Z"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":""},"deliver_at":"2999-01-01T00:00:00Z"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"2999-01-01T00:00:00Z","reply_to":2}`,
		},
		domain.NotFound: {
			`{"to":{"conversation":"x"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"2999-01-01T00:00:00Z"}`,
			`{"to":{"user":"ghost"},"client_id":"1","body":{"type":"text","text":"x"},"deliver_at":"2999-01-01T00:00:00Z"}`,
		},
	},
	"message.unschedule": {
		domain.InvalidArgument: {`{}`, `{"scheduled":1}`},
		domain.NotFound:        {`{"scheduled":"x"}`, `{"scheduled":"t0123456789abcde$C"}`},
	},
	"message.scheduled": {domain.InvalidArgument: {`{"limit":0}`, `{"limit":201}`, `{"after":"x"}`, `{"after_position":"?"}`}},
	"message.get": {
		domain.InvalidArgument: {`{}`, `{"conversation":"$C"}`, `{"conversation":"$C","seq":0}`, `{"conversation":"$C","seq":2,"after_position":"?"}`},
		domain.NotFound:        {`{"conversation":"x","seq":2}`, `{"conversation":"$C","seq":1}`, `{"conversation":"$C","seq":9}`},
	},
	"group.leave":   {domain.NotFound: {`{"conversation":"x"}`}, domain.InvalidArgument: {`{}`, `{"conversation":{}}`}},
	"group.members": {domain.NotFound: {`{"conversation":"x"}`}, domain.InvalidArgument: {`{}`, `{"conversation":"$C","limit":0}`, `{"conversation":"$C","limit":true}`}},
	"message.send": {
		domain.InvalidArgument: {
			`{}`, `{"to":{"conversation":"$C"}}`, `{"to":{"conversation":"$C"},"client_id":"1"}`, `{"to":"$C","client_id":"1","body":{"type":"text","text":"x"}}`,
			`{"to":{"conversation":"$C"},"body":{"type":"text","text":"x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"","body":{"type":"text","text":"x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"` + strings.Repeat("c", 65) + `","body":{"type":"text","text":"x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":""}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":1}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x","extra":1}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x","url":"http://x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"a\u0000b"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"\ud800"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"smell"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":"x"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"mentions":"some"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"expires_in_s":"60"}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"expires_in_s":0.5}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"expires_in_s":315360001}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"expires_in_s":9223372036854775807}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"expires_in_s":-1}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"reply_to":0}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"expires_in_s":0}`,
			`{"to":{"user":"$U"},"client_id":"1","body":{"type":"text","text":"x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"reply_to":-1}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"mentions":["ghost"]}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file","url":"https://x.example","mime":"a/b","size":1}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file","url":"https://x.example","name":"x","size":1}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file","url":"data:text/html,x","name":"x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file","url":"https://x.example","size":-1}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file","url":"https://x.example","size":1.5}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file","url":"https://x.example","data":{}}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"custom"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"custom","data":null}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"custom","data":[]}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"custom","data":"{}"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"custom","data":{"a":"\u0000"}}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"custom","data":{"a":1,"a":2}}}`,
		},
		domain.TooLarge: {
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"` + strings.Repeat("x", 16<<10+1) + `"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"file","url":"https://x.example","name":"` + strings.Repeat("x", 16<<10) + `"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"custom","data":{"a":"` + strings.Repeat("x", 16<<10) + `"}}}`,
		},
		domain.NotFound: {
			`{"to":{"conversation":"x"},"client_id":"1","body":{"type":"text","text":"x"}}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"reply_to":1}`,
			`{"to":{"conversation":"$C"},"client_id":"1","body":{"type":"text","text":"x"},"reply_to":9223372036854775807}`,
		},
	},
	"message.edit": {
		domain.InvalidArgument: {
			`{"conversation":"$C","seq":"2","body":{"type":"text","text":"x"}}`, `{"conversation":"$C","seq":0,"body":{"type":"text","text":"x"}}`,
			`{}`, `{"conversation":"$C","seq":2}`, `{"conversation":"$C","seq":2,"body":{}}`, `{"conversation":"$C","seq":2,"body":{"type":"text","text":""}}`,
			`{"conversation":"$C","seq":2.5,"body":{"type":"text","text":"x"}}`, `{"conversation":"$C","seq":99999999999999999999,"body":{"type":"text","text":"x"}}`,
		},
		domain.NotFound: {`{"conversation":"x","seq":2,"body":{"type":"text","text":"x"}}`, `{"conversation":"$C","seq":9,"body":{"type":"text","text":"x"}}`},
		domain.TooLarge: {`{"conversation":"$C","seq":2,"body":{"type":"text","text":"` + strings.Repeat("x", 16<<10+1) + `"}}`},
	},
	"message.recall": {
		domain.InvalidArgument: {`{}`, `{"conversation":"$C"}`, `{"conversation":"$C","seq":-1}`, `{"conversation":"$C","seq":null}`},
		domain.NotFound:        {`{"conversation":"x","seq":2}`, `{"conversation":"$C","seq":1}`},
	},
	"message.history": {
		domain.InvalidArgument: {
			`{}`, `{"conversation":"$C","before":3,"after":1}`, `{"conversation":"$C","before":-1}`, `{"conversation":"$C","after":-1}`,
			`{"conversation":"$C","limit":0}`, `{"conversation":"$C","limit":201}`, `{"conversation":"$C","limit":"all"}`, `{"conversation":"$C","after_position":"?"}`,
		},
		domain.NotFound: {`{"conversation":"x"}`},
	},
	"gateway.list": {domain.InvalidArgument: {`{"after":"x"}`}},
	"message.receipts": {
		domain.InvalidArgument: {`{}`, `{"conversation":"$C"}`, `{"conversation":"$C","seq":0}`, `{"conversation":"$C","seq":"2"}`, `{"conversation":"$C","seq":2,"after_position":"x"}`},
		domain.NotFound:        {`{"conversation":"x","seq":2}`, `{"conversation":"$C","seq":1}`, `{"conversation":"$C","seq":9}`},
	},
	"receipt.move": {
		domain.InvalidArgument: {`{}`, `{"conversation":"$C"}`, `{"conversation":"$C","read_seq":3}`, `{"conversation":"$C","read_seq":0}`, `{"conversation":"$C","delivered_seq":"1"}`},
		domain.NotFound:        {`{"conversation":"x","read_seq":1}`},
	},
	"receipt.delivered": {domain.InvalidArgument: {`{}`, `{"conversation":"$C","delivered_seq":3}`, `{"conversation":"$C","read_seq":1}`}, domain.NotFound: {`{"conversation":"x","delivered_seq":1}`}},
	"receipt.read":      {domain.InvalidArgument: {`{}`, `{"conversation":"$C","read_seq":3}`, `{"conversation":"$C","delivered_seq":1}`}, domain.NotFound: {`{"conversation":"x","read_seq":1}`}},
	"sync": {
		domain.InvalidArgument: {
			`{"since":[]}`, `{"since":{"x":"1"}}`, `{"since":{"x":-1}}`, `{"only":1}`, `{"limit":0}`, `{"limit":21}`, `{"epoch":1}`, `{"user_seq":"x"}`,
			`{"after":"x"}`, `{"after_position":"x"}`, `{"since":{"x":1,"x":2}}`,
		},
	},
}

func TestBadInputs(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.Administrator(t, "alice")
	group := newGroup(t, b, alice)
	send(t, b, alice, P{"conversation": group}, "hello")
	replace := strings.NewReplacer("$C", group, "$U", string(alice.User), "$B", string(b.User(t, "bob").User))
	for _, operation := range b.Registry.Operations() {
		if bad[operation.Method] == nil {
			t.Errorf("%s has no bad inputs", operation.Method)
		}
	}
	for _, method := range slices.Sorted(maps.Keys(bad)) {
		for code, inputs := range bad[method] {
			for _, input := range inputs {
				_, err := b.Call(t, alice, method, replace.Replace(input))
				if got := apitest.Code(err); got != code {
					t.Errorf("%s %.120s: got %q (%v), want %q", method, input, got, err, code)
				}
			}
		}
	}
	// None of it changed anything.
	if got := texts(t, b.Must(t, alice, "message.history", P{"conversation": group})["messages"]); got != "hello" {
		t.Errorf("history %q", got)
	}
}

func TestErrorsNameTheMember(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.User(t, "alice")
	for params, want := range map[string]string{
		`{"body":{}}`:                         "body.type is missing",
		`{"to":{"user":"x"},"client_id":"1"}`: "body is missing",
		`{"to":{"user":"x"},"client_id":null,"body":{"type":"text","text":"x"}}`:      "client_id is missing",
		`{"to":{},"client_id":"1","body":{"type":"text","text":"x"},"mentions":null}`: "to has either user or conversation",
		`{"to":{"user":1}}`:         "to.user cannot be this number",
		`{"body":{"text":[]}}`:      "body.text cannot be an array",
		`{"to":{"usr":"x"}}`:        "to.usr is not known here: leave it out",
		`{"client_id":true}`:        "client_id cannot be a boolean",
		`{"reply_to":"one"}`:        "reply_to cannot be this string",
		`{"mentions":{"all":true}}`: "mentions cannot be an object",
	} {
		_, err := b.Call(t, alice, "message.send", params)
		e, ok := errors.AsType[*domain.Error](err)
		if !ok || e.Message != want {
			t.Errorf("%s: %v, want %q", params, err, want)
		}
	}
}

func FuzzDecoding(f *testing.F) {
	b := apitest.New(f, nil)
	alice := b.User(f, "alice")
	for params := range neverParams {
		f.Add(params)
	}
	for _, codes := range bad {
		for _, inputs := range codes {
			for _, input := range inputs {
				f.Add(input)
			}
		}
	}
	f.Fuzz(func(t *testing.T, params string) {
		for _, method := range []string{"message.send", "sync", "message.history"} {
			_, err := b.Call(t, alice, method, params)
			if code := apitest.Code(err); code == domain.Internal {
				t.Errorf("%s %q: %v", method, params, err)
			}
		}
	})
}
