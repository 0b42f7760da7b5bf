package segment

import "bytes"

// takeData takes JSON apart: strings and numbers are values of their member, all else is template. It does not judge the
// JSON, it only has to be put together again; it is false where that would be in doubt.
func (p *parts) takeData(b []byte) bool {
	var members []string // the member in which each open object or list stands, and its own current one
	var inObject []bool
	member, key := "", false // key says that a member's name comes next
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			end := stringEnd(b, i)
			if end < 0 {
				return false
			}
			if key {
				member, key = string(b[i+1:end]), false
				p.lit(&p.data, string(b[i:end+1]))
			} else {
				p.lit(&p.data, `"`)
				p.data = append(p.data, piece{kind: textValue, text: member})
				p.values = append(p.values, value{member, string(b[i+1 : end])})
				p.lit(&p.data, `"`)
			}
			i = end + 1
			continue
		case c == '-' || c >= '0' && c <= '9':
			end := i
			for end < len(b) && bytes.IndexByte([]byte("+-.0123456789Ee"), b[end]) >= 0 {
				end++
			}
			p.data = append(p.data, piece{kind: textValue, text: "number " + member})
			p.values = append(p.values, value{"number " + member, string(b[i:end])})
			i = end
			continue
		case c == '{' || c == '[':
			members, inObject = append(members, member), append(inObject, c == '{')
			key = c == '{'
		case c == '}' || c == ']':
			if len(members) == 0 {
				return false
			}
			member = members[len(members)-1]
			members, inObject = members[:len(members)-1], inObject[:len(inObject)-1]
			key = false
		case c == ',':
			key = len(inObject) > 0 && inObject[len(inObject)-1]
		case c < ' ':
			return false
		}
		if p.lit(&p.data, string(b[i:i+1])); len(p.data) > maxPieces {
			return false
		}
		i++
	}
	return true
}

// stringEnd returns where the string ends that begins at i, -1 where it does not or has a control character.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i
		case c == '\\':
			i++
			if i < len(b) && b[i] < ' ' {
				return -1
			}
		case c < ' ':
			return -1
		}
	}
	return -1
}
