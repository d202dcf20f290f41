package notation

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// The checks of ours that a plugin's answer may replace.
const (
	ReplacesTrustedIdentity = "trustedIdentity"
	ReplacesRevocation      = "revocation"
)

// Plugin allows the signatures of a signer to call for a verification plugin
// (Notary Project plugin-extensibility.md). Name and SHA256 are required.
//
// Unless Replaces says otherwise, a plugin adds to our own checks: both must
// pass (TRUST R30).
type Plugin struct {
	// Name is what signatures call it, and the name of its folder.
	Name string `json:"name"`
	// SHA256 is the digest of the executable, 64 hexadecimal digits.
	SHA256 string `json:"sha256"`
	// Replaces are the checks that are left to the plugin: a weakening.
	Replaces []string `json:"replaces,omitempty"`
	// Config is handed to the plugin. No message repeats its values.
	Config map[string]string `json:"config,omitempty"`
}

// Bounds of what a signer allows.
const (
	maxPlugins      = 20      // per signer: each is a program that somebody vouches for
	maxPluginName   = 100     // characters; it is the name of a folder
	maxPluginConfig = 1 << 20 // bytes: a ConfigMap cannot hold more
)

// ParsePlugins reads a list of plugins that an operator allows:
//
//	{"plugins": [{"name": "…", "sha256": "…", "replaces": ["revocation"], "config": {"key": "value"}}]}
//
// Unknown fields are errors (TRUST R19). The caller bounds data.
func ParsePlugins(data []byte) ([]Plugin, error) {
	var list struct {
		Plugins []Plugin `json:"plugins"`
	}
	if err := decodeStrict(data, &list); err != nil {
		return nil, fmt.Errorf("read plugins: %w", err)
	}
	return clonePlugins(list.Plugins)
}

// clonePlugins checks a list and returns its own copy, by name.
func clonePlugins(list []Plugin) ([]Plugin, error) {
	if len(list) > maxPlugins {
		return nil, fmt.Errorf("expected at most %d plugins, got %d", maxPlugins, len(list))
	}
	own := make([]Plugin, 0, len(list))
	for i, p := range list {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("plugin %d: %w", i, err)
		}
		if _, twice := find(own, p.Name); twice {
			return nil, fmt.Errorf("plugin %d: expected each name once, got %q again", i, p.Name)
		}
		own = append(own, Plugin{Name: p.Name, SHA256: strings.ToLower(p.SHA256), Replaces: slices.Sorted(slices.Values(p.Replaces)), Config: maps.Clone(p.Config)})
	}
	slices.SortFunc(own, func(a, b Plugin) int { return strings.Compare(a.Name, b.Name) })
	return own, nil
}

func find(list []Plugin, name string) (*Plugin, bool) {
	i := slices.IndexFunc(list, func(p Plugin) bool { return p.Name == name })
	if i < 0 {
		return nil, false
	}
	return &list[i], true
}

func (p Plugin) check() error {
	if !validStoreName(p.Name) || len(p.Name) > maxPluginName {
		return fmt.Errorf("expected a name of at most %d letters, digits, '_', '.' and '-', got %q", maxPluginName, clip(p.Name))
	}
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 {
		return fmt.Errorf("%q: expected the SHA-256 of the executable as 64 hexadecimal digits, got %q", p.Name, clip(p.SHA256))
	}
	for i, check := range p.Replaces {
		if check != ReplacesTrustedIdentity && check != ReplacesRevocation {
			return fmt.Errorf("%q: expected to replace %s or %s, got %q", p.Name, ReplacesTrustedIdentity, ReplacesRevocation, clip(check))
		}
		if slices.Contains(p.Replaces[:i], check) {
			return fmt.Errorf("%q: expected to replace each check once, got %q again", p.Name, check)
		}
	}
	size := 0
	for key, value := range p.Config {
		size += len(key) + len(value)
	}
	if size > maxPluginConfig {
		return fmt.Errorf("%q: expected at most %d bytes of configuration, got %d", p.Name, maxPluginConfig, size)
	}
	return nil
}

func (p *Plugin) replaces(check string) bool { return slices.Contains(p.Replaces, check) }

// redact removes what the configuration holds from a text of the plugin's, whole
// values and single lines of them.
func (p *Plugin) redact(text string) string {
	// Shorter ones are no secrets, and removing them leaves no text.
	const shortest = 3
	var secrets []string
	for _, value := range p.Config {
		secrets = append(secrets, value)
		for line := range strings.Lines(value) {
			secrets = append(secrets, strings.TrimSpace(line))
		}
	}
	secrets = slices.DeleteFunc(secrets, func(v string) bool { return len(v) < shortest })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(secrets))
	for _, v := range secrets {
		pairs = append(pairs, v, "[redacted]")
	}
	return clip(printable(strings.NewReplacer(pairs...).Replace(text)))
}

// failed is a fault of the plugin or of how it is installed. It proves nothing
// and denies nothing: it could not be told.
func (p *Plugin) failed(expected, got string, cause error) *evidence.Problem {
	problem := &evidence.Problem{Reason: evidence.PluginFailed, Expected: fmt.Sprintf("%s of the verification plugin %q", expected, p.Name), Got: got}
	if cause != nil {
		problem.Err = errors.New(p.redact(cause.Error())) // the text alone: a cause may be quoted in full elsewhere
	}
	return problem
}
