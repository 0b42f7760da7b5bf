package seal_test

import (
	"fmt"
	"strconv"
	"testing"

	"mpim/domain"
	"mpim/schema"
	"mpim/schema/seal"
)

// natural are texts as people write them, of about 50, 200 and 1,000 bytes; the last one is Chinese.
var natural = []string{
	"Are you still coming tonight? We could eat first.",
	"The train leaves at half past six, so be at the station a little earlier. I have both tickets with me, and if anything " +
		"comes up just call; otherwise we meet under the big clock like last time, all right?",
	"I have read the whole thing twice now and I think we should talk about it before you send it out. The first part is " +
		"clear and to the point, but from the second page on it is hard to follow who has promised what to whom, and somebody " +
		"who was not there will not understand why it matters. My proposal: put the dates into a table, say in one sentence " +
		"what each side owes the other, and leave the history for the end, where whoever wants it can find it. If you like I " +
		"can take the table, because I still have the notes from our meeting in March. Apart from that there are only small " +
		"things, which I marked in the file. One question remains: do they know that the second delivery depends on the first? " +
		"Nobody has told them so far, as far as I can see. And please do not worry about the length, it is fine as it is; a " +
		"reader who has come that far will read the last two pages as well. See you on Thursday!",
	"系统支持单聊、群聊、消息撤回，登录后会收到离线期间的消息。明天下午三点我们在车站见面，票都在我这里，有事给我打电话。",
}

// BenchmarkEncode measures what sealing adds to the encoding of an event, in time and in stored bytes, against plain in the
// same run, and what opening costs who reads it.
func BenchmarkEncode(b *testing.B) {
	key, err := seal.NewKey([seal.KeyBytes]byte{1})
	if err != nil {
		b.Fatal(err)
	}
	sealing := func(text []byte, event domain.EventID, t domain.EventType, members []byte) []byte {
		return key.Seal(text, seal.Place{Event: event, Aggregate: chat.Aggregate(), Type: t}, members)
	}
	for _, text := range natural {
		commit := sent(text)
		commit.Entropy, commit.At = make([]byte, domain.EventEntropy), start
		for name, s := range map[string]schema.Seal{"plain": nil, "sealed": sealing} {
			b.Run(fmt.Sprintf("%d/%s", len(text), name), func(b *testing.B) {
				b.ReportAllocs()
				bytes := 0
				for b.Loop() {
					drafts, err := schema.Drafts(commit, s)
					if err != nil {
						b.Fatal(err)
					}
					bytes = len(drafts[0].Metadata) + len(drafts[0].Payload)
				}
				b.ReportMetric(float64(bytes), "bytes/event")
			})
		}
		b.Run(strconv.Itoa(len(text))+"/open", func(b *testing.B) {
			b.ReportAllocs()
			at := seal.Place{Event: "01", Aggregate: chat.Aggregate(), Type: domain.TypeMessageSent}
			sealed := key.Seal(nil, at, []byte(`"body":{"type":"text","text":"`+text+`"}`))
			for b.Loop() {
				if _, err := key.Open(at, sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
