package testca

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// TrustedRootTarget is the name under which Sigstore's TUF repositories hold a
// trusted root.
const TrustedRootTarget = "trusted_root.json"

// Role is one of the four top-level roles of TUF (TUF specification 1.0.31,
// §2.1).
type Role string

// The roles.
const (
	RoleRoot      Role = "root"
	RoleTimestamp Role = "timestamp"
	RoleSnapshot  Role = "snapshot"
	RoleTargets   Role = "targets"
)

// roles are in the order in which each names the one before.
func roles() []Role { return []Role{RoleTargets, RoleSnapshot, RoleTimestamp} }

// TUFOptions shape a TUF repository. The zero TUFOptions has no target, and
// metadata that lives for a year.
type TUFOptions struct {
	TrustedRoot  []byte            // the target TrustedRootTarget, if set
	Targets      map[string][]byte // more targets
	Expires      time.Time         // when all metadata does
	Inconsistent bool              // without consistent snapshots (§7.1), so that paths have no version
}

// TUF is a TUF repository over HTTP and what an attacker would make of it. Its
// metadata is at [TUF.URL], its targets below "targets/". It is safe for
// concurrent use and ends with its test.
//
// A freeze attack needs no method: a client whose clock is past the expiry
// that was set sees one as long as nothing is published.
type TUF struct {
	tb     testing.TB
	server server

	mu      sync.Mutex
	o       TUFOptions
	keys    map[Role]fixture.Key
	state   tufState
	history []tufState
	first   []byte // root version 1

	edits   map[Role]func(signed map[string]any)
	wrongly map[Role]bool
}

// tufState is what the repository holds at a time. Its maps are replaced, not
// changed.
type tufState struct {
	versions map[Role]int
	targets  map[string][]byte
	files    map[string][]byte // by path below the repository
}

// NewTUF starts a repository and publishes its first version.
func NewTUF(tb testing.TB, o TUFOptions) *TUF {
	tb.Helper()
	if o.Expires.IsZero() {
		o.Expires = time.Now().AddDate(1, 0, 0)
	}
	t := &TUF{tb: tb, o: o, keys: map[Role]fixture.Key{}, edits: map[Role]func(map[string]any){}, wrongly: map[Role]bool{}}
	for _, role := range append(roles(), RoleRoot) {
		t.keys[role] = newKey(tb, fixture.Ed25519)
	}
	t.state = tufState{versions: map[Role]int{}, targets: maps.Clone(o.Targets), files: map[string][]byte{}}
	if t.state.targets == nil {
		t.state.targets = map[string][]byte{}
	}
	if o.TrustedRoot != nil {
		t.state.targets[TrustedRootTarget] = o.TrustedRoot
	}
	t.writeRoot(t.keys[RoleRoot])
	t.first = t.state.files["1.root.json"]
	t.write(RoleTargets)
	t.history = nil
	t.server.start(tb, t.file)
	return t
}

// URL returns the repository's address, where its metadata is.
func (t *TUF) URL() string { return t.server.url }

// Root returns the first root.json, which clients pin.
func (t *TUF) Root() []byte { return t.first }

// Publish adds or replaces a target.
func (t *TUF) Publish(name string, content []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save()
	t.state.targets[name] = content
	t.write(RoleTargets)
}

// Remove takes a target away.
func (t *TUF) Remove(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save()
	delete(t.state.targets, name)
	t.write(RoleTargets)
}

// RotateRoot publishes a new version of the root with a new key for itself and
// new keys for all other roles, whose metadata it writes anew.
func (t *TUF) RotateRoot() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save()
	old := t.keys[RoleRoot]
	for role := range t.keys {
		t.keys[role] = newKey(t.tb, fixture.Ed25519)
	}
	t.writeRoot(old, t.keys[RoleRoot])
	t.write(RoleTargets)
}

// UsurpRoot publishes a new version of the root that its predecessor's key did
// not sign.
func (t *TUF) UsurpRoot() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save()
	t.keys[RoleRoot] = newKey(t.tb, fixture.Ed25519)
	t.writeRoot(t.keys[RoleRoot])
}

// Expire publishes a role anew with another expiry, which is the default of
// that role from then on. Those that name it are published anew too.
func (t *TUF) Expire(role Role, at time.Time) {
	t.Edit(role, func(signed map[string]any) { signed["expires"] = instant(at) })
}

// Renew publishes all metadata anew, the root included, with another expiry.
func (t *TUF) Renew(expires time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save()
	t.o.Expires = expires
	t.writeRoot(t.keys[RoleRoot])
	t.write(RoleTargets)
}

// Edit publishes a role anew, changed by edit before it is signed; so is each
// later version of it. Those that name the role are published anew too, with
// its proper version. A nil edit ends the changes.
//
// A rollback of one role inside of new metadata is such a change: of "version"
// in the role, or of "meta" in the one that names it.
func (t *TUF) Edit(role Role, edit func(signed map[string]any)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save()
	t.edits[role] = edit
	t.republish(role)
}

// SignWrongly publishes a role anew under a key that is none of its own, or
// properly again; so is each later version of it.
func (t *TUF) SignWrongly(role Role, wrongly bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.save()
	t.wrongly[role] = wrongly
	t.republish(role)
}

// RollBack serves again what was there before the last publication: older
// versions, properly signed. It may be repeated.
func (t *TUF) RollBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.history) == 0 {
		t.tb.Fatal("expected an earlier version to roll back to, got the first")
	}
	last := len(t.history) - 1
	t.state, t.history = t.history[last], t.history[:last]
}

func (t *TUF) republish(role Role) {
	if role == RoleRoot {
		t.writeRoot(t.keys[RoleRoot])
		return
	}
	t.write(role)
}

func (t *TUF) save() {
	t.history = append(t.history, t.state)
	t.state = tufState{maps.Clone(t.state.versions), maps.Clone(t.state.targets), maps.Clone(t.state.files)}
}

func (t *TUF) file(path string) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	content, found := t.state.files[path]
	return content, found
}

// writeRoot writes the next version of the root (§4.3).
func (t *TUF) writeRoot(signers ...fixture.Key) {
	keys, named := map[string]any{}, map[string]any{}
	for role, key := range t.keys {
		described, id := tufKey(key)
		keys[id] = described
		named[string(role)] = map[string]any{"keyids": []string{id}, "threshold": 1}
	}
	raw := t.sign(RoleRoot, map[string]any{"consistent_snapshot": !t.o.Inconsistent, "keys": keys, "roles": named}, signers)
	t.state.files[fmt.Sprintf("%d.root.json", t.state.versions[RoleRoot])] = raw
	t.state.files["root.json"] = raw
}

// write writes the next version of a role and of those that name it (§4.4 to
// §4.6).
func (t *TUF) write(from Role) {
	for _, role := range roles()[slices.Index(roles(), from):] {
		var raw []byte
		switch role {
		case RoleTargets:
			raw = t.sign(role, map[string]any{"targets": t.writeTargets()}, nil)
		case RoleSnapshot:
			raw = t.sign(role, map[string]any{"meta": t.meta(RoleTargets)}, nil)
		default:
			raw = t.sign(role, map[string]any{"meta": t.meta(RoleSnapshot)}, nil)
		}
		name := string(role) + ".json"
		if role != RoleTimestamp && !t.o.Inconsistent {
			name = fmt.Sprintf("%d.%s", t.state.versions[role], name)
		}
		t.state.files[name] = raw
	}
}

func (t *TUF) meta(of Role) map[string]any {
	return map[string]any{string(of) + ".json": map[string]any{"version": t.state.versions[of]}}
}

// writeTargets stores the targets and returns their description.
func (t *TUF) writeTargets() map[string]any {
	described := map[string]any{}
	for name, content := range t.state.targets {
		digest := hex.EncodeToString(sum(content))
		described[name] = map[string]any{"length": len(content), "hashes": map[string]any{"sha256": digest}}
		path := "targets/" + name
		if !t.o.Inconsistent {
			path = "targets/" + digest + "." + name
		}
		t.state.files[path] = content
	}
	return described
}

// sign returns the next version of a role's metadata (§4.2), by default signed
// by the role's key.
func (t *TUF) sign(role Role, signed map[string]any, signers []fixture.Key) []byte {
	t.state.versions[role]++
	signed["_type"], signed["spec_version"] = string(role), "1.0.31"
	signed["version"], signed["expires"] = t.state.versions[role], instant(t.o.Expires)
	if edit := t.edits[role]; edit != nil {
		edit(signed)
	}
	if len(signers) == 0 {
		signers = []fixture.Key{t.keys[role]}
	}
	content := t.canonical(signed)
	var signatures []any
	for _, key := range signers {
		_, id := tufKey(key)
		if t.wrongly[role] {
			key = newKey(t.tb, fixture.Ed25519)
		}
		signature, err := key.Sign(content, crypto.SHA256)
		if err != nil {
			t.tb.Fatal(err)
		}
		signatures = append(signatures, map[string]any{"keyid": id, "sig": hex.EncodeToString(signature)})
	}
	return t.canonical(map[string]any{"signed": signed, "signatures": signatures})
}

// canonical writes canonical JSON, which is encoding/json's of maps without
// control characters, HTML or fractions.
func (t *TUF) canonical(value any) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		t.tb.Fatal(err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
}

// tufKey describes an Ed25519 key and returns its ID.
func tufKey(key fixture.Key) (described map[string]any, id string) {
	public, _ := key.Signer.Public().(ed25519.PublicKey)
	value := hex.EncodeToString(public)
	canonical := `{"keytype":"ed25519","keyval":{"public":"` + value + `"},"scheme":"ed25519"}`
	return map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyval": map[string]any{"public": value}}, hex.EncodeToString(sum([]byte(canonical)))
}

func instant(at time.Time) string { return at.UTC().Format(time.RFC3339) }
