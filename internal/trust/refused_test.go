package trust_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// TestR48RefusedRepositoryYieldsNothing has a mirror go bad in every way that
// the client workflow tells: a first look then yields nothing, and a later one
// leaves in use what was verified before.
func TestR48RefusedRepositoryYieldsNothing(t *testing.T) {
	tests := map[string]struct {
		reason string
		spoil  func(*rig)
		later  bool // the first look cannot tell
	}{
		"TimestampRollback": {"the version goes back (rollback)", func(r *rig) {
			r.repo.setTarget(defaultName, "older")
			r.repo.list.Signed.Version++
			r.repo.snap.Signed.Version++
			r.repo.stamp.Signed.Version = 1
			r.repo.publish()
		}, true},
		"SnapshotRollback": {"a newer timestamp names an older snapshot", func(r *rig) {
			r.repo.stamp.Signed.Version++
			r.repo.snap.Signed.Version = 1
			r.repo.publish()
		}, true},
		"TargetsRollback": {"a newer snapshot names older targets", func(r *rig) {
			r.repo.stamp.Signed.Version++
			r.repo.snap.Signed.Version++
			r.repo.list.Signed.Version = 1
			r.repo.publish()
		}, true},
		"SnapshotForgetsARole": {"what a snapshot listed stays listed", func(r *rig) {
			r.repo.advance()
			r.repo.publish()
			delete(r.repo.snap.Signed.Meta, "other.json")
			r.repo.write(fmt.Sprintf("%d.snapshot.json", r.repo.snap.Signed.Version), r.repo.signed(r.repo.snap, metadata.SNAPSHOT))
		}, true},
		"Freeze": {"the timestamp expired", func(r *rig) {
			r.repo.advance()
			r.repo.stamp.Signed.Expires = start.Add(-day)
			r.repo.publish()
		}, false},
		"SnapshotExpired": {"the snapshot expired", func(r *rig) {
			r.repo.advance()
			r.repo.snap.Signed.Expires = start.Add(-day)
			r.repo.publish()
		}, false},
		"TargetsExpired": {"the list of targets expired", func(r *rig) {
			r.repo.advance()
			r.repo.list.Signed.Expires = start.Add(-day)
			r.repo.publish()
		}, false},
		"RootExpired": {"the newest root expired", func(r *rig) {
			r.repo.root.Signed.Expires = start.Add(-day)
			r.repo.rotate()
		}, false},
		"TimestampByAnotherKey": {"not the root's key for it", func(r *rig) {
			r.repo.advance()
			r.repo.keys[metadata.TIMESTAMP] = newKey(r.t)
			r.repo.publish()
		}, false},
		"SnapshotByTheTimestampsKey": {"keys are of one role", func(r *rig) {
			r.repo.advance()
			r.repo.keys[metadata.SNAPSHOT] = r.repo.keys[metadata.TIMESTAMP]
			r.repo.publish()
		}, false},
		"TargetsByAnotherKey": {"not the root's key for it", func(r *rig) {
			r.repo.advance()
			r.repo.keys[metadata.TARGETS] = newKey(r.t)
			r.repo.publish()
		}, false},
		"Unsigned": {"no signature at all", func(r *rig) {
			r.repo.advance()
			r.repo.publish()
			r.repo.write("timestamp.json", r.repo.signedBy(r.repo.stamp))
		}, false},
		"RootNotByTheOldKey": {"a new root must be signed by the old one's keys", func(r *rig) {
			r.repo.rekey(metadata.ROOT)
			r.repo.root.Signed.Version++
			r.repo.write("2.root.json", r.repo.signed(r.repo.root, metadata.ROOT))
		}, false},
		"RootNotByItself": {"a new root must be signed by its own keys", func(r *rig) {
			old := r.repo.keys[metadata.ROOT]
			r.repo.rekey(metadata.ROOT)
			r.repo.root.Signed.Version++
			r.repo.write("2.root.json", r.repo.signedBy(r.repo.root, old))
		}, false},
		"RootBelowItsThreshold": {"one of two that must sign", func(r *rig) {
			old := r.repo.keys[metadata.ROOT]
			if err := r.repo.root.Signed.AddKey(publicKey(r.t, newKey(r.t)), metadata.ROOT); err != nil {
				r.t.Fatal(err)
			}
			r.repo.root.Signed.Roles[metadata.ROOT].Threshold = 2
			r.repo.root.Signed.Version++
			r.repo.write("2.root.json", r.repo.signedBy(r.repo.root, old))
		}, false},
		"RootSkipsAVersion": {"none is left out", func(r *rig) {
			r.repo.root.Signed.Version += 2
			r.repo.write("2.root.json", r.repo.signed(r.repo.root, metadata.ROOT))
		}, false},
		"AnotherRolesMetadata": {"a timestamp is no root", func(r *rig) {
			r.repo.write("2.root.json", r.repo.signed(r.repo.stamp, metadata.TIMESTAMP))
		}, false},
		"TargetMissing": {"not in the list", func(r *rig) {
			r.repo.advance()
			delete(r.repo.list.Signed.Targets, defaultName)
			r.repo.setTarget("other.json", "another")
			r.repo.publish()
		}, false},
		"TargetFileMissing": {"listed, and not there", func(r *rig) {
			r.repo.update("gone")
			r.repo.remove(hashedTarget("gone"))
		}, false},
		"TargetOfOtherContent": {"same length, other bytes", func(r *rig) {
			r.repo.update("newer")
			r.repo.write(hashedTarget("newer"), []byte("never"))
		}, false},
		"TargetShorter": {"cut", func(r *rig) {
			r.repo.update("newer")
			r.repo.write(hashedTarget("newer"), []byte("newe"))
		}, false},
		"TargetTooLarge": {"the list itself asks for too much", func(r *rig) {
			r.repo.update(strings.Repeat("x", 1<<20+1))
		}, false},
		"TargetOfNegativeLength": {"a length below zero", func(r *rig) {
			r.repo.update("newer")
			r.repo.list.Signed.Targets[defaultName].Length = -1
			r.repo.publish()
		}, false},
		"TargetWithoutHashes": {"nothing binds the bytes", func(r *rig) {
			r.repo.update("newer")
			r.repo.list.Signed.Targets[defaultName].Hashes = metadata.Hashes{}
			r.repo.publish()
		}, false},
		"TargetOfAnUnknownHash": {"an algorithm that nobody checks", func(r *rig) {
			r.repo.update("newer")
			r.repo.list.Signed.Targets[defaultName].Hashes = metadata.Hashes{"md5": []byte("0123456789abcdef")}
			r.repo.publish()
		}, false},
		"TargetOfAShortHash": {"a hash becomes part of a URL", func(r *rig) {
			r.repo.update("newer")
			r.repo.list.Signed.Targets[defaultName].Hashes = metadata.Hashes{"sha256": []byte("short")}
			r.repo.publish()
		}, false},
		"ServerError": {"an answer that is no file", func(r *rig) {
			r.network.answerTo("timestamp.json", func() (*http.Response, error) { return answer(503, strings.NewReader("{}")), nil })
		}, false},
		"ServerErrorWithAFile": {"what comes with an error is no answer", func(r *rig) {
			r.repo.update("newer")
			raw, _ := r.repo.file("timestamp.json")
			r.network.answerTo("timestamp.json", func() (*http.Response, error) { return answer(500, bytes.NewReader(raw)), nil })
		}, false},
		"LargerThanAnyNeeds": {"a proper timestamp, and much space behind it", func(r *rig) {
			r.repo.update("newer")
			r.edit("timestamp.json", func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 1<<14)...) })
		}, false},
		"PartOfAFile": {"status 206 is for who asks for a part", func(r *rig) {
			r.repo.update("newer")
			raw, _ := r.repo.file("timestamp.json")
			r.network.answerTo("timestamp.json", func() (*http.Response, error) { return answer(206, bytes.NewReader(raw)), nil })
		}, false},
		"ServerErrorForTheRoot": {"only a missing root means that there is none", func(r *rig) {
			r.network.answerTo("2.root.json", func() (*http.Response, error) { return answer(500, strings.NewReader("{}")), nil })
		}, false},
		"NoTimestamp": {"no such file", func(r *rig) { r.repo.remove("timestamp.json") }, false},
		"Cut":         {"a document that ends early", func(r *rig) { r.edit("timestamp.json", func(b []byte) []byte { return b[:len(b)/2] }) }, false},
		"NamesTwice": {"a name that occurs twice (TRUST R4)", func(r *rig) {
			r.edit("timestamp.json", func(b []byte) []byte { return append([]byte(`{"signed":{},`), b[1:]...) })
		}, false},
		"Nested": {"nesting that is too deep", func(r *rig) {
			r.repo.write("timestamp.json", []byte(strings.Repeat("[", 5000)+strings.Repeat("]", 5000)))
		}, false},
		"TimestampLater": {"the signed part was changed", func(r *rig) {
			r.edit("timestamp.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"2026-03-08`), []byte(`"2036-03-08`), 1) })
		}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.repo.snap.Signed.Meta["other.json"] = metadata.MetaFile(1)
			for range 2 { // versions that can go back
				r.repo.update("root of the first day")
			}
			r.known()
			r.fetch()
			if r.known() == "" {
				t.Fatal(r.status().Err)
			}
			before := r.keeper.Revision()
			tc.spoil(r)
			r.again()
			if got := r.known(); got != "root of the first day" || r.status().Err == nil || r.keeper.Revision() != before {
				t.Errorf("TrustedRoot() = %q, refresh %v, want the last good and an error: %s", got, r.status().Err, tc.reason)
			}
			t.Log(r.status().Err)
			if tc.later {
				r.restart() // what was seen before is on disk
				r.again()
				if got := r.known(); got != "root of the first day" {
					t.Errorf("TrustedRoot() = %q after a restart: %s", got, tc.reason)
				}
				return
			}
			r.options.Dir = ""
			r.restart()
			r.known()
			r.fetch()
			if got := r.known(); got != "" || r.status().Err == nil {
				t.Errorf("TrustedRoot() = %q of a first look, %v: %s", got, r.status().Err, tc.reason)
			}
		})
	}
}

// edit changes a published file.
func (r *rig) edit(name string, change func([]byte) []byte) {
	r.t.Helper()
	before, _ := r.repo.file(name)
	after := change(bytes.Clone(before))
	if bytes.Equal(before, after) {
		r.t.Fatalf("%s: nothing was changed", name)
	}
	r.repo.write(name, after)
}

// TestCVE202623991MalformedMetadata has metadata that is JSON and no metadata:
// go-tuf before 2.3.1 ended the process over it, before any signature was
// checked. What is signed and lists nothing where it must ended later versions
// too.
func TestCVE202623991MalformedMetadata(t *testing.T) {
	files := []string{"2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"}
	documents := map[string]string{
		"Null": `null`, "Number": `1`, "List": `[]`, "Empty": `{}`, "SignedNull": `{"signed":null}`, "SignedText": `{"signed":"x"}`,
		"NoType": `{"signed":{}}`, "TypeNumber": `{"signed":{"_type":1}}`, "SignaturesNull": `{"signed":{"_type":"timestamp"},"signatures":null}`,
		"SignaturesText": `{"signed":{"_type":"timestamp"},"signatures":"x"}`, "MetaNull": `{"signed":{"_type":"timestamp","meta":null},"signatures":[]}`,
	}
	for _, file := range files {
		for name, document := range documents {
			t.Run(file+name, func(t *testing.T) {
				r := newRig(t)
				r.repo.write(file, []byte(document))
				r.known()
				r.fetch()
				if got := r.known(); got != "" || r.status().Err == nil || strings.Contains(r.status().Err.Error(), "panic") {
					t.Errorf("TrustedRoot() = %q, %v, want an orderly refusal", got, r.status().Err)
				}
			})
		}
	}
	signed := map[string]func(*repository){
		"TimestampWithoutSnapshot": func(r *repository) { delete(r.stamp.Signed.Meta, "snapshot.json") },
		"TimestampOfNullSnapshot":  func(r *repository) { r.stamp.Signed.Meta["snapshot.json"] = nil },
		"SnapshotWithoutTargets":   func(r *repository) { delete(r.snap.Signed.Meta, "targets.json") },
		"SnapshotOfNullTargets":    func(r *repository) { r.snap.Signed.Meta["targets.json"] = nil },
		"SnapshotOfNullRole":       func(r *repository) { r.snap.Signed.Meta["other.json"] = nil },
		"TargetNull":               func(r *repository) { r.list.Signed.Targets[defaultName] = nil },
	}
	for name, edit := range signed {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			edit(r.repo)
			r.repo.write("1.targets.json", r.repo.signed(r.repo.list, metadata.TARGETS))
			r.repo.write("1.snapshot.json", r.repo.signed(r.repo.snap, metadata.SNAPSHOT))
			r.repo.write("timestamp.json", r.repo.signed(r.repo.stamp, metadata.TIMESTAMP))
			r.known()
			r.fetch()
			if got := r.known(); got != "" || r.status().Err == nil || strings.Contains(r.status().Err.Error(), "panic") {
				t.Errorf("TrustedRoot() = %q, %v, want an orderly refusal", got, r.status().Err)
			}
		})
	}
}

// TestCVE202623992ThresholdZero has a root that asks for no signatures, which
// go-tuf before 2.3.1 took as satisfied by none.
func TestCVE202623992ThresholdZero(t *testing.T) {
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		for _, threshold := range []int{0, -1} {
			t.Run(fmt.Sprint(role, threshold), func(t *testing.T) {
				r := newRig(t)
				r.repo.root.Signed.Roles[role].Threshold = threshold
				r.repo.rotate()
				r.repo.keys[role] = newKey(t)
				r.repo.update("signed by nobody")
				r.known()
				r.fetch()
				if got := r.known(); got != "" {
					t.Errorf("TrustedRoot() = %q by a threshold of %d", got, threshold)
				}
			})
		}
	}
}

// TestThresholdCountsKeysOnce has one key under two names, which a threshold of
// two must not count twice (TRUST R28).
func TestThresholdCountsKeysOnce(t *testing.T) {
	r := newRig(t)
	role := r.repo.root.Signed.Roles[metadata.TIMESTAMP]
	again := *r.repo.root.Signed.Keys[role.KeyIDs[0]]
	r.repo.root.Signed.Keys["again"] = &again
	role.KeyIDs, role.Threshold = append(role.KeyIDs, "again"), 2
	r.repo.rotate()
	r.repo.publish()
	r.repo.stamp.Signatures = append(r.repo.stamp.Signatures, metadata.Signature{KeyID: "again", Signature: r.repo.stamp.Signatures[0].Signature})
	raw, err := r.repo.stamp.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	r.repo.write("timestamp.json", raw)
	r.known()
	r.fetch()
	if got := r.known(); got != "" {
		t.Errorf("TrustedRoot() = %q by one key that was counted twice", got)
	}
}

// TestCVE202447534DelegationsAreNotFollowed has a target that only a delegated
// role lists. go-tuf before 2.0.1 could ask roles in the wrong order; here none
// is asked.
func TestCVE202447534DelegationsAreNotFollowed(t *testing.T) {
	r := newRig(t)
	key := newKey(t)
	public := publicKey(t, key)
	id, err := public.ID()
	if err != nil {
		t.Fatal(err)
	}
	r.repo.list.Signed.Delegations = &metadata.Delegations{
		Keys:  map[string]*metadata.Key{id: public},
		Roles: []metadata.DelegatedRole{{Name: "delegated", KeyIDs: []string{id}, Threshold: 1, Paths: []string{"*"}}},
	}
	delegated := metadata.Targets(start.Add(30 * day))
	delegated.Signed.Targets[defaultName] = r.repo.list.Signed.Targets[defaultName]
	delete(r.repo.list.Signed.Targets, defaultName)
	r.repo.snap.Signed.Meta["delegated.json"] = metadata.MetaFile(1)
	r.repo.write("1.delegated.json", r.repo.signedBy(delegated, []signature.Signer{key}...))
	r.repo.publish()
	r.known()
	r.fetch()
	if got := r.known(); got != "" || r.status().Err == nil {
		t.Errorf("TrustedRoot() = %q, %v, want a target of a delegated role refused", got, r.status().Err)
	}
}

// TestCVE202229173Rollback restarts between two looks: what was seen before must
// hold against an older state, which go-tuf before 0.3.0 took.
func TestCVE202229173Rollback(t *testing.T) {
	r := newRig(t)
	stale := map[string][]byte{}
	for name, content := range r.repo.files {
		stale[name] = content
	}
	r.repo.update("newer")
	r.known()
	r.fetch()
	r.restart()
	r.repo.files = stale
	r.known()
	r.again()
	if got := r.known(); got != "newer" || r.status().Err == nil {
		t.Errorf("TrustedRoot() = %q, %v, want the older state refused", got, r.status().Err)
	}
}
