package trust

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
)

const (
	// defaultTarget is the name that Sigstore's instances give their trusted root.
	defaultTarget = "trusted_root.json"
	// maxURL and maxTargetName bound what becomes a URL.
	maxURL        = 2048
	maxTargetName = 256
)

// mirror is a TUF repository, as one pinned root lets it be believed.
type mirror struct {
	base    *url.URL
	pinned  []byte
	target  string
	options *Options
	state   repository // that was verified last
}

func newMirror(spec dialect.TUFSpec, o *Options) (*mirror, error) {
	m := &mirror{pinned: spec.Root, target: spec.Target, options: o}
	if m.target == "" {
		m.target = defaultTarget
	}
	if err := checkTarget(m.target); err != nil {
		return nil, err
	}
	var err error
	if m.base, err = mirrorURL(spec.Mirror, o.PlainHTTP); err != nil {
		return nil, err
	}
	if len(m.pinned) > maxRootBytes {
		return nil, fmt.Errorf("expected a root.json of at most %d bytes, got %d", maxRootBytes, len(m.pinned))
	}
	if _, err := begin(m.pinned, time.Time{}); err != nil {
		return nil, fmt.Errorf("read the pinned root.json: %w", err)
	}
	return m, nil
}

// mirrorURL parses a mirror's address. A repository's metadata is signed, so
// plain HTTP gives away no more than a mirror could; it is a weakening all the
// same, and the operator's (TRUST R7).
func mirrorURL(text string, plain func(host string) bool) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("expected a URL of at most %d bytes, got %d", maxURL, len(text))
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "":
		return nil, fmt.Errorf("expected the URL of a TUF mirror, got %.100q", redacted(u, text))
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, fmt.Errorf("expected a URL without credentials, query and fragment, got %.100q", redacted(u, text))
	case u.Scheme == "https":
	case u.Scheme == "http" && plain != nil && plain(u.Host):
	default:
		return nil, fmt.Errorf("expected a mirror that speaks https, got scheme %.20q", u.Scheme)
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

// redacted is text that names a URL and holds none of its secrets.
func redacted(u *url.URL, text string) string {
	if u == nil {
		if strings.ContainsAny(text, "@?") {
			return "something else"
		}
		return text
	}
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return bare.String()
}

// checkTarget refuses names of targets that would mean something else as a part
// of a URL, or of a path. The repository has no say in the name.
func checkTarget(name string) error {
	if len(name) > maxTargetName {
		return fmt.Errorf("expected a target's name of at most %d bytes, got %d", maxTargetName, len(name))
	}
	for _, segment := range strings.Split(name, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.Trim(segment, targetBytes) != "" {
			return fmt.Errorf("expected a target's name of letters, digits, - . and _, with / between its parts, got %.100q", name)
		}
	}
	return nil
}

const targetBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

func (m *mirror) id() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d ", m.base, m.target, len(m.pinned))
	h.Write(m.pinned)
	return "mirror " + hex.EncodeToString(h.Sum(nil))
}

func (m *mirror) name() string {
	if m.target == defaultTarget {
		return m.base.String()
	}
	return m.base.String() + " " + m.target
}

func (*mirror) reason() evidence.Reason { return evidence.TrustRootUnavailable }

// file is where the repository is kept. No word of the mirror's or the policy's
// enters the path.
func (m *mirror) file() string {
	return filepath.Join(m.options.Dir, strings.TrimPrefix(m.id(), "mirror ")+".json")
}

func (m *mirror) restore(time.Time) (material, error) {
	if m.options.Dir == "" {
		return material{}, nil
	}
	stored, err := readRepository(m.file())
	if err != nil || stored.Timestamp == nil {
		return material{}, err
	}
	expires, err := guarded(func() (time.Time, error) { return replay(m.pinned, m.target, stored) })
	if err == nil {
		err = m.check(stored.Content)
	}
	if err != nil {
		return material{}, fmt.Errorf("%s: %w", m.file(), err)
	}
	m.state = stored
	return m.material(expires), nil
}

func (m *mirror) fetch(ctx context.Context, now time.Time) (material, error) {
	if m.options.Transport == nil {
		return material{}, errors.New("expected a network, got none in this program")
	}
	u := update{mirror: m, files: files{ctx: ctx, base: m.base, transport: m.options.Transport}, old: m.state}
	expires, err := u.run(now)
	if err != nil {
		return material{}, explain(err)
	}
	if err := m.check(u.next.Content); err != nil {
		return material{}, fmt.Errorf("target %s: %w", m.target, err)
	}
	u.next.Checked = now
	m.state = u.next
	return m.material(expires), nil
}

func (m *mirror) check(content []byte) error {
	if m.options.CheckTrustedRoot == nil {
		return nil
	}
	return m.options.CheckTrustedRoot(content)
}

func (m *mirror) material(expires time.Time) material {
	return material{
		content: m.state.Content, checked: m.state.Checked, expires: expires, ends: expires.Add(m.options.MaxStale), refresh: mirrorRefresh,
	}
}

func (m *mirror) save() error {
	if m.options.Dir == "" {
		return nil
	}
	return writeRepository(m.options.Dir, m.file(), m.state)
}
