package api

import (
	"context"

	"mpim/domain"
	"mpim/projections/contacts"
)

type (
	contactListInput struct {
		ReadAfter
	}
	contactListResult struct {
		Contacts []contactObject `json:"contacts" nullable:"false"`
		Incoming []requestObject `json:"incoming" nullable:"false" doc:"Requests that wait for the caller."`
		Outgoing []requestObject `json:"outgoing" nullable:"false" doc:"The caller's requests that wait for others."`
	}
	contactObject struct {
		User   domain.UserID `json:"user"`
		Since  string        `json:"since" format:"date-time"`
		Remark string        `json:"remark"`
	}
	requestObject struct {
		User    domain.UserID `json:"user"`
		Message string        `json:"message"`
		At      string        `json:"at" format:"date-time"`
	}
	blockListResult struct {
		Blocks []blockObject `json:"blocks" nullable:"false"`
	}
	blockObject struct {
		User  domain.UserID `json:"user"`
		Since string        `json:"since" format:"date-time"`
	}
	userSearchInput struct {
		Q     string `json:"q" doc:"The beginning of a user name or display name, in any case."`
		Limit *int   `json:"limit,omitempty" minimum:"1" maximum:"100" default:"20"`
		ReadAfter
	}
)

// How many users a search finds.
const (
	usualFound = 20
	mostFound  = contacts.MaxLimit
)

func (o *Operations) contactList(ctx context.Context, caller Caller, in contactListInput) (contactListResult, error) {
	book, err := o.book(ctx, caller.User, in.ReadAfter)
	if err != nil {
		return contactListResult{}, err
	}
	result := contactListResult{
		Contacts: make([]contactObject, len(book.Contacts)),
		Incoming: requestObjects(book.Incoming), Outgoing: requestObjects(book.Outgoing),
	}
	for i, c := range book.Contacts {
		result.Contacts[i] = contactObject{User: c.User, Since: formatTime(c.Since), Remark: c.Remark}
	}
	return result, nil
}

// book returns what a user has to do with others. Who has to see a certain change gets it from SQL itself.
func (o *Operations) book(ctx context.Context, user domain.UserID, after ReadAfter) (contacts.Book, error) {
	if o.Directory != nil && after.AfterPosition == "" {
		return o.Directory.Book(ctx, user)
	}
	if err := o.await(ctx, after, contactsProjection); err != nil {
		return contacts.Book{}, err
	}
	return o.Contacts.Book(ctx, user)
}

func requestObjects(requests []contacts.Request) []requestObject {
	objects := make([]requestObject, len(requests))
	for i, r := range requests {
		objects[i] = requestObject{User: r.User, Message: r.Message, At: formatTime(r.At)}
	}
	return objects
}

func (o *Operations) blockList(ctx context.Context, caller Caller, in contactListInput) (blockListResult, error) {
	if err := o.await(ctx, in.ReadAfter, contactsProjection); err != nil {
		return blockListResult{}, err
	}
	blocks, err := o.Contacts.Blocks(ctx, caller.User)
	if err != nil {
		return blockListResult{}, err
	}
	result := blockListResult{Blocks: make([]blockObject, len(blocks))}
	for i, b := range blocks {
		result.Blocks[i] = blockObject{User: b.User, Since: formatTime(b.Since)}
	}
	return result, nil
}

func (o *Operations) userSearch(ctx context.Context, _ Caller, in userSearchInput) (usersResult, error) {
	limit, err := limitOf(in.Limit, usualFound, mostFound)
	if err != nil {
		return usersResult{}, err
	}
	if err := o.await(ctx, in.ReadAfter, contactsProjection); err != nil {
		return usersResult{}, err
	}
	found, err := o.Contacts.Search(ctx, in.Q, limit)
	if err != nil {
		return usersResult{}, err
	}
	users := make([]User, len(found))
	for i, u := range found {
		users[i] = foundUser(u)
	}
	return usersResult{Users: users}, nil
}

func foundUser(u contacts.User) User {
	return User{
		ID: u.ID, Username: u.Username, DisplayName: u.DisplayName, AvatarURL: u.AvatarURL, CreatedAt: formatTime(u.CreatedAt),
	}
}
