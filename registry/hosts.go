package registry

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bonafide-dev/bonafide/imageref"
)

// hostsPoll is how often the files are looked at, at most.
const hostsPoll = 5 * time.Second

// Hosts is what the operator says about single registries in a file: private
// certificate authorities, client certificates, mirrors, and which hosts are
// vouched for. It follows its files. Make it with [ReadHosts]; it is safe for
// concurrent use.
type Hosts struct {
	file   string
	clock  func() time.Time
	failed func(error)
	table  atomic.Pointer[hostTable]

	mu   sync.Mutex // of the one who reads
	next time.Time
}

// ReadHosts reads the YAML file and those that it names; docs/registries.md
// describes it. They are looked at again, every few seconds at most, when a
// registry is asked. If they have changed and do not load, the last good content
// stays and failed, which may be nil, is told each time.
func ReadHosts(file string, clock func() time.Time, failed func(error)) (*Hosts, error) {
	h := &Hosts{file: file, clock: clock, failed: failed}
	table, err := readHostTable(file, nil)
	if err != nil {
		return nil, err
	}
	h.table.Store(table)
	h.next = clock().Add(hostsPoll)
	return h, nil
}

// current returns the latest good content. A nil Hosts holds nothing. Nobody
// waits for who reads the files.
func (h *Hosts) current() *hostTable {
	if h == nil {
		return &hostTable{}
	}
	if h.mu.TryLock() {
		defer h.mu.Unlock()
		if now := h.clock(); !now.Before(h.next) {
			h.next = now.Add(hostsPoll)
			h.reload()
		}
	}
	return h.table.Load()
}

func (h *Hosts) reload() {
	table, err := readHostTable(h.file, h.table.Load())
	if err == nil {
		h.table.Store(table)
		return
	}
	if h.failed != nil {
		h.failed(err)
	}
}

// hostTable is one reading of the files. It does not change.
type hostTable struct {
	hosts             map[string]hostSettings // by hostKey
	allowed, insecure hostSet
}

// hostSettings is what is said about one host.
type hostSettings struct {
	tls     *hostTLS // nil: as for all
	mirrors []mirror
}

// hostTLS is compared by pointer: the same content keeps the same pointer over
// readings, and with it its connections.
type hostTLS struct {
	sum          [sha256.Size]byte
	roots        *x509.CertPool    // nil: those for all
	certificates []tls.Certificate // at most one
}

// samePair reports whether both show the same certificate.
func (s *hostTLS) samePair(other *hostTLS) bool {
	if other == nil || len(s.certificates) == 0 || len(other.certificates) == 0 {
		return false
	}
	return slices.EqualFunc(s.certificates[0].Certificate, other.certificates[0].Certificate, bytes.Equal)
}

// mirror is where else a host's repositories are.
type mirror struct {
	host, prefix string
	tags         bool // it is asked for tags and lists too
}

// repository is where the mirror holds r.
func (m mirror) repository(r imageref.Repository) (imageref.Repository, error) {
	ref, err := imageref.Parse(m.host + "/" + m.path(r.Path()))
	if err != nil {
		return imageref.Repository{}, err
	}
	at := ref.Repository()
	if hostKey(&url.URL{Scheme: "https", Host: at.Host()}) != m.host || at.Path() != m.path(r.Path()) {
		return imageref.Repository{}, fmt.Errorf("expected a repository of %q, got %q", m.host, at)
	}
	return at, nil
}

func (m mirror) path(path string) string {
	if m.prefix == "" {
		return path
	}
	return m.prefix + "/" + path
}

// tlsFor returns what connections to target use on behalf of origin, or nil, and
// whether the target's client certificate is shown: only where origin is the
// target, or is shown the same one. Else any registry could have a token fetched
// under our name by naming the realm of another, and would be sent it (TRUST R6).
func (t *hostTable) tlsFor(origin, target *url.URL) (s *hostTLS, named bool) {
	key := hostKey(target)
	s = t.hosts[key].tls
	if s == nil || origin == nil {
		return s, false
	}
	home := hostKey(origin)
	return s, home == key || s.samePair(t.hosts[home].tls)
}

// has reports whether connections of the table use s.
func (t *hostTable) has(s *hostTLS) bool {
	for _, settings := range t.hosts {
		if settings.tls == s {
			return true
		}
	}
	return false
}

// readHostTable takes over what did not change from an earlier reading.
func readHostTable(file string, earlier *hostTable) (*hostTable, error) {
	data, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("read registries: %w", err)
	}
	doc, err := parseHosts(data)
	if err != nil {
		return nil, fmt.Errorf("read registries from %q: %w", file, err)
	}
	table := &hostTable{hosts: make(map[string]hostSettings), allowed: hostSet{}, insecure: hostSet{}}
	for i, d := range doc.Registries {
		if err := table.add(d, filepath.Dir(file), earlier); err != nil {
			return nil, fmt.Errorf("read registries from %q: registries[%d]: %w", file, i, err)
		}
	}
	return table, nil
}

func (t *hostTable) add(d hostDocument, folder string, earlier *hostTable) error {
	key, err := canonicalHost(d.Host)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if _, twice := t.hosts[key]; twice {
		return fmt.Errorf("host: expected each host once, got %q again", d.Host)
	}
	var s hostSettings
	if s.tls, err = d.readTLS(folder); err != nil {
		return err
	}
	if known := earlier.settings(key).tls; s.tls != nil && known != nil && known.sum == s.tls.sum {
		s.tls = known
	}
	for i, m := range d.Mirrors {
		read, err := m.mirror(key)
		if err == nil && slices.ContainsFunc(s.mirrors, func(o mirror) bool { return o.host == read.host && o.prefix == read.prefix }) {
			err = fmt.Errorf("expected each mirror once, got %q again", m.Host)
		}
		if err != nil {
			return fmt.Errorf("mirrors[%d]: %w", i, err)
		}
		s.mirrors = append(s.mirrors, read)
		t.allowed[read.host] = struct{}{} // whoever names a mirror vouches for it
	}
	t.hosts[key] = s
	if d.Allowed {
		t.allowed[key] = struct{}{}
	}
	if d.Insecure {
		t.insecure[key] = struct{}{}
	}
	return nil
}

func (t *hostTable) settings(key string) hostSettings {
	if t == nil {
		return hostSettings{}
	}
	return t.hosts[key]
}

// readBounded reads a file that the operator names.
func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := fill(make([]byte, 0, maxHostsFile+1), file)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(data) > maxHostsFile {
		return nil, fmt.Errorf("expected %q to have at most %d bytes", name, maxHostsFile)
	}
	return data, nil
}

// canonicalHost checks a host or host:port and returns its key.
func canonicalHost(name string) (string, error) {
	u, err := url.Parse("https://" + name + "/")
	if err != nil || u.Host != name || u.Hostname() == "" || strings.ContainsAny(name, "*?") {
		return "", fmt.Errorf("expected a host or host:port, got %q", clip(name))
	}
	return hostKey(u), nil
}
