package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/imageref"
)

// dockerConfig is what is read of Docker's configuration file
// (github.com/docker/cli, config/configfile) and of the Secrets that hold one.
type dockerConfig struct {
	entries     []configEntry
	credHelpers map[string]string // host → helper
	credsStore  string            // helper for the rest
}

// configEntry is one member of "auths".
type configEntry struct {
	host       string // canonical, or with wildcards
	path       string // of repositories, "" for all; begins with "/"
	credential Credential
}

type dockerConfigDocument struct {
	Auths       map[string]authDocument `json:"auths"`
	CredHelpers map[string]string       `json:"credHelpers"`
	CredsStore  string                  `json:"credsStore"`
}

type authDocument struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// parseDockerConfig reads config.json, the value of a Secret's
// .dockerconfigjson, or the older .dockercfg, which is "auths" alone. The error
// holds nothing of the content.
func parseDockerConfig(data []byte) (dockerConfig, error) {
	if len(data) > maxDockerConfig {
		return dockerConfig{}, fmt.Errorf("expected a docker configuration of at most %d bytes, got %d", maxDockerConfig, len(data))
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return dockerConfig{}, errors.New("expected a docker configuration as JSON")
	}
	var doc dockerConfigDocument
	if err := decodeDockerConfig(data, members, &doc); err != nil {
		return dockerConfig{}, errors.New("expected a docker configuration with auths by host")
	}
	if n := len(doc.Auths); n > maxConfigEntries {
		return dockerConfig{}, fmt.Errorf("expected a docker configuration of at most %d registries, got %d", maxConfigEntries, n)
	}
	config := dockerConfig{credHelpers: map[string]string{}, credsStore: doc.CredsStore}
	for server, auth := range doc.Auths {
		entry, err := newConfigEntry(server, auth)
		if err != nil {
			return dockerConfig{}, fmt.Errorf("auths[%q]: %w", clip(server), err)
		}
		if !entry.credential.IsZero() { // empty beside a credsStore
			config.entries = append(config.entries, entry)
		}
	}
	slices.SortFunc(config.entries, compareEntries)
	for server, helper := range doc.CredHelpers {
		host, _ := splitServer(server)
		config.credHelpers[host] = helper
	}
	return config, nil
}

func decodeDockerConfig(data []byte, members map[string]json.RawMessage, doc *dockerConfigDocument) error {
	for _, known := range []string{"auths", "credHelpers", "credsStore", "HttpHeaders", "currentContext"} {
		if _, found := members[known]; found {
			return json.Unmarshal(data, doc)
		}
	}
	for _, value := range members {
		if !strings.HasPrefix(strings.TrimSpace(string(value)), "{") {
			return nil // settings of other kinds, and no credentials
		}
	}
	return json.Unmarshal(data, &doc.Auths)
}

func newConfigEntry(server string, auth authDocument) (configEntry, error) {
	c := Credential{Username: auth.Username, Password: auth.Password, IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken}
	if auth.Auth != "" {
		// Docker writes padded base64; others leave the padding out.
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(auth.Auth), "="))
		if err != nil {
			return configEntry{}, errors.New("expected base64 in auth")
		}
		username, password, found := strings.Cut(strings.TrimRight(string(decoded), "\x00"), ":")
		if !found {
			return configEntry{}, errors.New("expected <username>:<password> in auth")
		}
		c.Username, c.Password = username, password
	}
	if strings.ContainsAny(c.RegistryToken, " \t\r\n") {
		return configEntry{}, errors.New("expected a registrytoken without spaces")
	}
	host, repositories := splitServer(server)
	return configEntry{host: host, path: repositories, credential: c}, nil
}

// splitServer reads the name of an entry: a host, a host and a path, or a URL.
// The paths /v1/ and /v2/ stand for the whole host, as they do for kubelet.
func splitServer(server string) (host, repositories string) {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	host, repositories, _ = strings.Cut(server, "/")
	repositories = "/" + repositories
	if strings.HasPrefix(repositories, "/v1/") || strings.HasPrefix(repositories, "/v2/") {
		repositories = repositories[len("/v1"):]
	}
	repositories = strings.TrimSuffix(repositories, "/")
	if repositories == "/v1" || repositories == "/v2" {
		repositories = ""
	}
	u := &url.URL{Scheme: "https", Host: host}
	if strings.ContainsAny(host, "*?[\\") && !strings.HasPrefix(host, "[") {
		return strings.TrimSuffix(strings.ToLower(host), ":443"), repositories
	}
	return hostKey(u), repositories
}

// compareEntries sorts as kubelet does, the most specific first: descending by
// name.
func compareEntries(a, b configEntry) int {
	return strings.Compare(b.host+b.path, a.host+a.path)
}

// matches reports whether the entry is for the repository, as kubelet decides
// it: as many labels in the host, a wildcard within a label, the same port, and
// a path that begins with the entry's.
func (e configEntry) matches(r imageref.Repository) bool {
	if !strings.HasPrefix("/"+r.Path(), e.path) {
		return false
	}
	if e.host == r.Host() {
		return true
	}
	pattern, patternPort := cutPort(e.host)
	host, port := cutPort(r.Host())
	patterns, labels := strings.Split(pattern, "."), strings.Split(host, ".")
	if patternPort != port || len(patterns) != len(labels) {
		return false
	}
	for i := range patterns {
		if ok, err := path.Match(patterns[i], labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func cutPort(host string) (name, port string) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i], host[i+1:]
	}
	return host, ""
}

// matching returns the credentials for a repository, the most specific first,
// and no more than are tried.
func matching(entries []configEntry, r imageref.Repository) []Credential {
	var found []Credential
	for _, e := range entries {
		if len(found) == maxCredentials {
			break
		}
		if e.matches(r) && !slices.Contains(found, e.credential) {
			found = append(found, e.credential)
		}
	}
	return found
}
