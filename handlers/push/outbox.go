package push

import (
	"mpim/schema"
)

// outbox collects what a batch has for each gateway.
type outbox struct {
	maxBytes, maxItems int
	// gateways are in the order in which they came up, so that what is sent follows from what came in.
	gateways []string
	byID     map[string]*parcel
	// deliveries counts frames by the connections they go to, and frames those that were encoded.
	deliveries, frames int
}

// parcel is what goes to one gateway: the items of one or more envelopes.
type parcel struct {
	envelopes [][]schema.Item
	bytes     int
}

func newOutbox(maxBytes, maxItems int) *outbox {
	return &outbox{maxBytes: maxBytes, maxItems: maxItems, byID: make(map[string]*parcel)}
}

// put adds a frame for an audience.
func (o *outbox) put(class schema.Class, frame []byte, a audience) {
	o.deliveries += a.connections
	o.frames++
	for _, p := range a.parts {
		o.add(p.gateway.id, schema.Item{Class: class, Frame: frame, Connections: p.numbers})
	}
}

// everyone adds a frame for all connections of all gateways.
func (o *outbox) everyone(class schema.Class, frame []byte) {
	o.frames++
	o.add("", schema.Item{Class: class, Frame: frame})
}

// end adds an order to close the connections of an audience.
func (o *outbox) end(code uint16, a audience) {
	for _, p := range a.parts {
		o.add(p.gateway.id, schema.Item{Class: schema.ClassClose, Close: code, Connections: p.numbers})
	}
}

func (o *outbox) add(gateway string, item schema.Item) {
	p := o.byID[gateway]
	if p == nil {
		p = &parcel{}
		o.byID[gateway] = p
		o.gateways = append(o.gateways, gateway)
	}
	// A list of connections counts each time, although it is sent once an envelope: too many envelopes are better than one
	// that cannot be read.
	size := len(item.Frame) + len(item.Connections)
	last := len(p.envelopes) - 1
	if last < 0 || p.bytes+size > o.maxBytes || len(p.envelopes[last]) >= o.maxItems {
		p.envelopes = append(p.envelopes, nil)
		p.bytes = 0
		last++
	}
	p.envelopes[last] = append(p.envelopes[last], item)
	p.bytes += size
}

// seal returns the envelopes. Fill completes each but for its items.
func (o *outbox) seal(fill func(gateway string, e *schema.Envelope)) []schema.Outgoing {
	var messages []schema.Outgoing
	for _, gateway := range o.gateways {
		for _, items := range o.byID[gateway].envelopes {
			e := &schema.Envelope{Items: items}
			fill(gateway, e)
			messages = append(messages, schema.Outgoing{Gateway: gateway, Payload: e.Append(nil)})
		}
	}
	return messages
}
