package account

import "mpim/domain"

// decideUpdate keeps of what was given what is not so already.
func decideUpdate(s State, c Update) ([]domain.Fact, error) {
	if err := s.exists(); err != nil {
		return nil, err
	}
	var updated domain.AccountUpdated
	if c.DisplayName != nil {
		name, err := displayName(*c.DisplayName, s.Username)
		if err != nil {
			return nil, err
		}
		updated.DisplayName = changed(s.DisplayName, name)
	}
	if c.AvatarURL != nil {
		if err := domain.CheckURL("avatar_url", *c.AvatarURL, MaxAvatarURL); err != nil {
			return nil, err
		}
		updated.AvatarURL = changed(s.AvatarURL, *c.AvatarURL)
	}
	if c.Strangers != nil {
		if *c.Strangers != Anyone && *c.Strangers != Contacts {
			return nil, domain.Errorf(domain.InvalidArgument, "strangers is %q or %q", Anyone, Contacts)
		}
		updated.Strangers = changed(s.Strangers(), *c.Strangers)
	}
	if updated == (domain.AccountUpdated{}) {
		return nil, nil
	}
	return []domain.Fact{&updated}, nil
}

// changed returns the new value where it is another than the old one.
func changed[T comparable](old, value T) *T {
	if old == value {
		return nil
	}
	return &value
}

// Strangers says from whom the user takes direct messages: Anyone or Contacts.
func (p Profile) Strangers() string {
	if p.ContactsOnly {
		return Contacts
	}
	return Anyone
}

func decideSuspend(s State, c Suspend) ([]domain.Fact, error) {
	if err := s.exists(); err != nil {
		return nil, err
	}
	if err := domain.CheckName("reason", c.Reason, MaxReason); err != nil {
		return nil, err
	}
	if s.Suspended {
		return nil, nil
	}
	return []domain.Fact{&domain.AccountSuspended{Reason: c.Reason}}, nil
}

func decideRestore(s State) ([]domain.Fact, error) {
	if err := s.exists(); err != nil {
		return nil, err
	}
	if !s.Suspended {
		return nil, nil
	}
	return []domain.Fact{&domain.AccountRestored{}}, nil
}

func decideAppoint(s State, c Appoint) ([]domain.Fact, error) {
	if err := s.exists(); err != nil {
		return nil, err
	}
	if s.Administrator == c.Administrator {
		return nil, nil
	}
	return []domain.Fact{&domain.AccountUpdated{Administrator: &c.Administrator}}, nil
}

func (s State) exists() error {
	if !s.Exists() {
		return domain.Errorf(domain.NotFound, "there is no such user")
	}
	return nil
}

// Administers refuses whoever is no administrator now.
func (s State) Administers() error {
	if err := s.exists(); err != nil {
		return err
	}
	if err := s.unsuspended(); err != nil {
		return err
	}
	if !s.Administrator {
		return domain.Errorf(domain.PermissionDenied, "only administrators may do this")
	}
	return nil
}
