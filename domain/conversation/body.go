package conversation

import (
	"unicode/utf8"

	"mpim/domain"
)

// CheckClientID refuses what is no client id: an empty one, one over the limit, one that is no text.
func CheckClientID(id string, limits Limits) error {
	if id == "" {
		return domain.Errorf(domain.InvalidArgument, "client_id is empty: give each request one of its own")
	}
	if limits.ClientID > 0 && utf8.RuneCountInString(id) > limits.ClientID {
		return domain.Errorf(domain.InvalidArgument, "client_id has more than %d characters", limits.ClientID)
	}
	return domain.CheckText("client_id", id, 0)
}

func checkBody(body domain.Body, limits Limits) error {
	if err := supportedBody(body); err != nil {
		return err
	}
	switch body.Type {
	case domain.TextBody:
		return checkText(body, limits)
	case "":
		return domain.Errorf(domain.InvalidArgument, "body has no type")
	default:
		return domain.Errorf(domain.InvalidArgument, "body has an unknown type")
	}
}

func checkText(body domain.Body, limits Limits) error {
	if body.URL != "" || body.Name != "" || body.Size != 0 || body.MIME != "" || body.Data != nil {
		return domain.Errorf(domain.InvalidArgument, "a text body has type and text alone")
	}
	if body.Text == "" {
		return domain.Errorf(domain.InvalidArgument, "text is empty")
	}
	if limits.TextBytes > 0 && len(body.Text) > limits.TextBytes {
		return domain.Errorf(domain.TooLarge, "text has %d bytes, of at most %d", len(body.Text), limits.TextBytes)
	}
	return domain.CheckText("text", body.Text, 0)
}
