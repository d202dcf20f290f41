package registry

import (
	"strings"
)

// challenge is one way to authenticate that a registry offers.
type challenge struct {
	scheme string // lower-case
	params map[string]string
}

// pickChallenge returns the challenge to answer: Bearer before Basic.
func pickChallenge(headers []string) (challenge, bool) {
	var basic *challenge
	for _, header := range headers {
		if len(header) > maxChallenge {
			continue
		}
		for _, c := range parseChallenges(header) {
			if c.scheme == "bearer" && c.params["realm"] != "" {
				return c, true
			}
			if c.scheme == "basic" && basic == nil {
				basic = &c
			}
		}
	}
	if basic == nil {
		return challenge{}, false
	}
	return *basic, true
}

// parseChallenges reads a WWW-Authenticate header (RFC 9110 §11.6.1):
//
//	challenge  = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
//	auth-param = token BWS "=" BWS ( token / quoted-string )
//
// Commas separate parameters and challenges alike: a token that no "="
// follows begins a challenge. The first of two parameters of one name counts.
// Reading ends where the grammar does.
func parseChallenges(header string) []challenge {
	var all []challenge
	rest := header
	for {
		rest = strings.TrimLeft(rest, " \t,")
		name, after := cutToken(rest)
		if name == "" {
			return all
		}
		trimmed := strings.TrimLeft(after, " \t")
		value, isParam := strings.CutPrefix(trimmed, "=")
		if !isParam || len(all) == 0 {
			if isParam {
				return all // a parameter of no challenge
			}
			all = append(all, challenge{scheme: strings.ToLower(name), params: map[string]string{}})
			rest = skipToken68(trimmed)
			continue
		}
		text, after, valid := cutValue(strings.TrimLeft(value, " \t"))
		if !valid {
			return all
		}
		params := all[len(all)-1].params
		if _, twice := params[strings.ToLower(name)]; !twice {
			params[strings.ToLower(name)] = text
		}
		rest = after
	}
}

// skipToken68 leaves out credentials-like data after a scheme, such as
// Negotiate's: a token that ends at a comma, or has characters of base64 that
// no parameter name has.
func skipToken68(s string) string {
	end := strings.IndexAny(s, ", \t")
	if end < 0 {
		end = len(s)
	}
	word := strings.TrimRight(s[:end], "=")
	next := strings.TrimLeft(s[end:], " \t")
	if word == "" || strings.ContainsAny(word, `="`) || strings.HasPrefix(next, "=") {
		return s // a parameter, or another scheme
	}
	if next == "" || next[0] == ',' {
		return next
	}
	return s
}

// cutValue reads a token or a quoted-string.
func cutValue(s string) (value, rest string, valid bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func cutToken(s string) (token, rest string) {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// isTokenByte is tchar of RFC 9110 §5.6.2.
func isTokenByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// scopesFor returns the scopes to ask a token realm for: pulling this
// repository, and what else the registry asks for as far as it is no more than
// pulling. Registries that name their scopes otherwise give tokens for
// nothing else.
func scopesFor(path, asked string) []string {
	scopes := []string{"repository:" + path + ":pull"}
	for _, scope := range strings.Fields(asked) {
		if kind, rest, found := strings.Cut(scope, ":"); found && kind == "repository" {
			end := strings.LastIndexByte(rest, ':')
			if end < 0 {
				continue
			}
			scope = "repository:" + rest[:end] + ":pull"
		}
		if len(scopes) < maxScopes && len(scope) <= maxClipped && scope != scopes[0] {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}
