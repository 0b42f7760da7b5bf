package command

import (
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
)

// Account is how accounts decide.
var Account = Rules[account.State, account.Command]{
	Needs: account.Needs, Load: account.Load, Decide: account.Decide,
	Evolve: account.Evolve, Touched: account.Touched, Store: account.Store,
}

// Group is how groups decide.
var Group = Rules[conversation.State, conversation.Command]{
	Needs: conversation.Needs, Load: conversation.Load, Decide: conversation.Decide,
	Evolve: conversation.Evolve, Touched: conversation.Touched, Store: conversation.Store, Timers: conversation.Timers,
}

// Pair is how pairs decide.
var Pair = Rules[pair.State, pair.Command]{
	Needs: pair.Needs, Load: pair.Load, Decide: pair.Decide,
	Evolve: pair.Evolve, Touched: pair.Touched, Store: pair.Store, Timers: conversation.Timers,
}
