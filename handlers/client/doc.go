// Package client is a client of the MPIM protocol for Go programs: bots, bridges, tests of other systems. It depends on
// nothing else of MPIM.
//
//	session, err := client.Login(ctx, client.Config{
//		URLs: []string{"http://127.0.0.1:8080"},
//		Handler: client.Handler{Event: func(e client.Event) { fmt.Println(e.Conversation, e.Seq, e.Type, e.Text()) }},
//	}, "alice", "alice-demo")
//	if err != nil {
//		return err
//	}
//	go session.Run(ctx)
//	bob, err := session.User(ctx, "@bob")
//	...
//	sent, err := session.Send(ctx, client.Message{To: client.ToUser(bob.ID), Body: client.Text("hello")})
//
// # Promises
//
// [Session.Run] keeps one socket open, whatever becomes of gateways: it connects again by the rules of the close codes,
// with back-off, resumes, and catches up. It returns only when its context ends or when connecting again is no use.
//
// Handler.Event gets every event of every conversation of the user once and in order of its sequence, for as long as
// the session lives, or Handler.Reset says that the local copy is to be read anew. With [Session.Save] that holds over
// restarts of the program too, up to what was handled after the last save.
//
// What the handler has returned from is acknowledged, at most once a second a conversation.
//
// [Session.Send] returns once the message is in the log. It is sent again under the same client id until then, so it is
// neither lost nor doubled; messages to one destination are in the log in the order of the calls.
//
// # Design
//
// One goroutine reads the socket and wakes those who wait for answers. A second one handles pushes in order and does
// the catching up itself, while further pushes wait in a bounded queue: subscribe, buffer, read, merge by sequence is
// then nothing but the order in which it works. Where the queue is full the socket is given up, since catching up is
// cheaper than memory without a bound.
//
// One message to a destination is on its way at a time. Several would be faster over a slow line, but one that was
// refused as unavailable could then be overtaken by the one behind it.
package client
