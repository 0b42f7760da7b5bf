package conversation

import (
	"encoding/json"
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
	switch body.Type {
	case domain.TextBody:
		return checkText(body, limits)
	case domain.FileBody:
		return checkFile(body, limits)
	case domain.CustomBody:
		return checkCustom(body, limits)
	case "":
		return domain.Errorf(domain.InvalidArgument, "body has no type")
	default:
		return domain.Errorf(domain.InvalidArgument, "body has an unknown type")
	}
}

// fits refuses a body that is larger than a text may be: what it says counts alike, whatever its kind.
func fits(what string, size int, limits Limits) error {
	if limits.TextBytes > 0 && size > limits.TextBytes {
		return domain.Errorf(domain.TooLarge, "%s %d bytes, of at most %d", what, size, limits.TextBytes)
	}
	return nil
}

func hasFile(body domain.Body) bool {
	return body.URL != "" || body.Name != "" || body.Size != nil && *body.Size != 0 || body.MIME != ""
}

func checkText(body domain.Body, limits Limits) error {
	if hasFile(body) || body.Data != nil {
		return domain.Errorf(domain.InvalidArgument, "a text body has type and text alone")
	}
	if body.Text == "" {
		return domain.Errorf(domain.InvalidArgument, "text is empty")
	}
	if err := fits("text has", len(body.Text), limits); err != nil {
		return err
	}
	return domain.CheckText("text", body.Text, 0)
}

// checkFile accepts the address of a file that is kept elsewhere, and what is said of it, which is nothing that is
// relied upon here.
func checkFile(body domain.Body, limits Limits) error {
	if body.Text != "" || body.Data != nil {
		return domain.Errorf(domain.InvalidArgument, "a file body has type, url, name, size and mime alone")
	}
	if err := fits("the fields of a file have", len(body.URL)+len(body.Name)+len(body.MIME), limits); err != nil {
		return err
	}
	switch {
	case body.URL == "":
		return domain.Errorf(domain.InvalidArgument, "url is empty")
	case body.Name == "":
		return domain.Errorf(domain.InvalidArgument, "name is empty")
	case body.MIME == "":
		return domain.Errorf(domain.InvalidArgument, "mime is empty: application/octet-stream says nothing of a file")
	case body.Size != nil && *body.Size < 0:
		return domain.Errorf(domain.InvalidArgument, "size is negative")
	}
	if err := domain.CheckURL("url", body.URL, 0); err != nil {
		return err
	}
	if err := domain.CheckName("name", body.Name, 0); err != nil {
		return err
	}
	return domain.CheckName("mime", body.MIME, 0)
}

// checkCustom accepts any JSON object.
func checkCustom(body domain.Body, limits Limits) error {
	if hasFile(body) || body.Text != "" {
		return domain.Errorf(domain.InvalidArgument, "a custom body has type and data alone")
	}
	if err := fits("data has", len(body.Data), limits); err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body.Data, &members); err != nil || members == nil {
		return domain.Errorf(domain.InvalidArgument, "data is no JSON object")
	}
	return domain.CheckText("data", string(body.Data), 0)
}
