package registry

import (
	"net/netip"

	"github.com/bonafide-dev/bonafide/imageref"
)

// What external tests see of the inside.

// Refuses reports whether an address is refused for realms, and for registries
// of a server.
func Refuses(address string, services ...netip.Prefix) (asRealm, asRegistry bool) {
	a := netip.MustParseAddr(address)
	return checkAddress(a, publicOnly, services) != nil, checkAddress(a, notLocal, services) != nil
}

// RefusesName does so for a name in a URL, before look-up.
func RefusesName(name string) bool { return checkName(name, notLocal, nil) != nil }

// Challenge is what a WWW-Authenticate header asks for.
func Challenge(headers ...string) (scheme string, params map[string]string, found bool) {
	c, found := pickChallenge(headers)
	return c.scheme, c.params, found
}

// ChallengeCount is the number of challenges in a header.
func ChallengeCount(header string) int { return len(parseChallenges(header)) }

// NextLink is the target of rel="next".
func NextLink(headers ...string) string { return nextLink(headers) }

// ConfigCredentials parses a docker configuration and matches it.
func ConfigCredentials(data []byte, r imageref.Repository) ([]Credential, error) {
	config, err := parseDockerConfig(data)
	return matching(config.entries, r), err
}

// Scopes are those asked of a realm.
func Scopes(path, asked string) []string { return scopesFor(path, asked) }
