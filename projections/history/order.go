package history

import (
	"bytes"
	"cmp"
	"strings"
)

func (r *conversationRow) compare(o *conversationRow) int {
	return strings.Compare(r.Conversation, o.Conversation)
}

func (r *memberRow) compare(o *memberRow) int {
	return cmp.Or(strings.Compare(r.Conversation, o.Conversation), strings.Compare(r.User, o.User),
		cmp.Compare(r.FromSeq, o.FromSeq))
}

func (r *messageRow) compare(o *messageRow) int {
	return cmp.Or(strings.Compare(r.Conversation, o.Conversation), cmp.Compare(r.Seq, o.Seq))
}

func (r *revisionRow) compare(o *revisionRow) int {
	return cmp.Or(strings.Compare(r.Conversation, o.Conversation), cmp.Compare(r.Message, o.Message), cmp.Compare(r.Seq, o.Seq))
}

func (r *reactionRow) compare(o *reactionRow) int {
	return cmp.Or(strings.Compare(r.Conversation, o.Conversation), cmp.Compare(r.Message, o.Message),
		strings.Compare(r.User, o.User), bytes.Compare(r.Emoji, o.Emoji), cmp.Compare(r.FromSeq, o.FromSeq))
}
