package schema

// GatewayChannel returns the Pub/Sub channel on which a gateway hears envelopes and heartbeats.
func GatewayChannel(gateway string) string { return "gateway:{" + gateway + "}" }

// StatusChannel returns the Pub/Sub channel on which the status of the users of a partition is published.
func StatusChannel(partition int) string { return "status:{" + PartitionTag(partition) + "}" }

// BroadcastChannel is the Pub/Sub channel that every gateway hears: what is for each of its connections. Of an envelope
// there only the frames count.
const BroadcastChannel = "system:broadcast"

// Outgoing is a message for the channel of one gateway, or for all where Gateway is empty.
type Outgoing struct {
	Gateway string
	Payload []byte
}

// Channel returns where the message is published.
func (o Outgoing) Channel() string {
	if o.Gateway == "" {
		return BroadcastChannel
	}
	return GatewayChannel(o.Gateway)
}

// PushCheckpoint says how far a partition is pushed under a lease.
type PushCheckpoint struct {
	Partition int
	Token     int64
	Checkpoint
}

// Push is a message on a gateway's channel: an *Envelope or a *Heartbeat. Both come from the owner of partitions of the
// consumer "push". Pub/Sub loses messages without a word; the numbers in them are what makes a loss seen.
//
//sumtype:decl
type Push interface {
	// Append appends the wire form to b.
	Append(b []byte) []byte
	push()
}

// Envelope is what one batch of one partition has for the connections of one gateway.
type Envelope struct {
	Partition int
	// Token is the fencing token of the lease under which it is sent. Those of an older token than one already heard
	// for the partition come from an owner that lost it: nothing in them is missing elsewhere.
	Token int64
	// Number counts the envelopes of (Partition, Token) to this gateway from 1. One at or below the last heard is a
	// double; one that is not the last plus one says that others were lost. 0 stands outside of the count: what is in
	// such an envelope may be lost without harm (typing), or is a repetition.
	Number uint64
	// Start and Seq are partition sequences. All above Start is, or will be, in envelopes: a gateway that had not
	// heard of the partition up to Start has missed something. Seq is how far this envelope goes.
	Start, Seq int64
	Items      []Item
}

// Item is one frame for some connections of a gateway, or an order to close them.
type Item struct {
	Class Class
	// Close is the close code for the connections; 0 where Frame is to be sent.
	Close uint16
	// Frame is a finished JSON-RPC notification. It aliases the decoded message.
	Frame []byte
	// Connections are gateway-local numbers (the last four bytes of connection ids), ascending, without doubles. Items
	// for the same connections share one slice, before encoding and after decoding: read only.
	Connections []uint32
}

// Class says what an item is, and so what may be dropped or overtaken when a connection is slow.
// A gateway that does not know a class sends its frame like the last one it knows.
type Class uint8

// The classes.
const (
	// ClassClose ends connections: their session is revoked, or their account suspended.
	ClassClose Class = 1 + iota
	// ClassEvent is an event of a conversation. It is never dropped but by closing the connection.
	ClassEvent
	// ClassReceipt is a moved cursor. A later one of the same user and conversation replaces it.
	ClassReceipt
	// ClassTyping may be lost.
	ClassTyping
	// ClassNotice is a notice of the system. It is as urgent as an event, and not dropped either.
	ClassNotice
)

// Heartbeat tells one gateway, once a second and right after one of its connections was folded, how far a worker is
// with all partitions that it pushes.
type Heartbeat struct {
	// Worker is the id of the worker process.
	Worker string
	// Leases are the partitions that the worker pushes.
	Leases []LeaseReport
	// Folded is, at the index of each partition, how far the worker has folded its presence stream. Each connection
	// said to be connected at or before gets all events that are appended from now on, of every partition in Leases.
	Folded []StreamID
}

// LeaseReport says how far a partition is pushed to the gateway that a heartbeat goes to.
type LeaseReport struct {
	Partition int
	Token     int64
	// Number is that of the last envelope that was sent to the gateway under this token, or that could not be.
	Number uint64
	// Start and Seq are as in an Envelope: all from above Start up to Seq was in envelopes up to Number.
	Start, Seq int64
}

func (*Envelope) push()  {}
func (*Heartbeat) push() {}
