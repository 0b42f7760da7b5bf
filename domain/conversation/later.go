package conversation

import "mpim/domain"

// supported refuses what the client protocol names and this version does not do. Nothing that a client asked for is
// passed over in silence. Who decodes requests refuses as well what a command cannot say: that a member was given, with
// nothing in it.
func (c SendMessage) supported() error {
	switch {
	case c.ReplyTo != 0:
		return domain.Errorf(domain.InvalidArgument, "reply_to is not supported yet")
	case len(c.Mentions) > 0:
		return domain.Errorf(domain.InvalidArgument, "mentions are not supported yet")
	case c.ExpiresIn != 0:
		return domain.Errorf(domain.InvalidArgument, "expires_in_s is not supported yet")
	default:
		return supportedBody(c.Body)
	}
}

func supportedBody(body domain.Body) error {
	if body.Type == domain.FileBody || body.Type == domain.CustomBody {
		return domain.Errorf(domain.InvalidArgument, "bodies of type %q are not supported yet", body.Type)
	}
	return nil
}
