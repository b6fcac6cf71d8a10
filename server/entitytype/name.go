package entitytype

import "strings"

// MaxName bounds a type's name in bytes.
const MaxName = 64

// CheckName refuses a name that could not be the first segment of an entity's URL: one that is a route of
// the server's, or that would need escaping.
func CheckName(name string) error {
	var why string
	switch {
	case name == "":
		why = "it is empty"
	case len(name) > MaxName:
		why = "it is longer than 64 bytes"
	case isRoute(name):
		why = "it is a route of the server's: choose another name"
	case !startsWell(name) || strings.ContainsFunc(name, func(r rune) bool { return !isNameRune(r) }):
		why = "it must begin with a letter or digit and hold only letters, digits, '-', '_' and '.' (ASCII)"
	default:
		return nil
	}
	return invalid("name", name, why)
}

// isRoute lists the first segments that lead elsewhere than to an entity.
func isRoute(name string) bool {
	switch strings.ToLower(name) {
	case "_electric", "v1", "runners", "principal", "healthz", "readyz", "metrics", "console":
		return true
	}
	return false
}

func startsWell(name string) bool {
	r := rune(name[0])
	return r != '-' && r != '_' && r != '.' && isNameRune(r)
}

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.'
}
