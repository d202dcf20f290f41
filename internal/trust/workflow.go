package trust

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/bonafide-dev/bonafide/evidence"
)

// The bounds of a repository (specification, §5.3.3, §5.4.1 and the like: "this
// size limit is set by the application"). Sigstore's public repository has some
// 15 roots of 8 KiB, and other files of at most 10 KiB.
const (
	maxRootBytes      = 128 << 10
	maxTimestampBytes = 16 << 10
	maxSnapshotBytes  = 512 << 10
	maxTargetsBytes   = 1 << 20
	maxContentBytes   = 1 << 20
	// maxRoots bounds the rotations since the pinned root (§5.3.3): endless roots
	// end a refresh, and who pins one that is older pins a newer.
	maxRoots = 64
)

// repository is what was verified of a TUF repository. Each file is as it was
// received.
type repository struct {
	Format    int       `json:"format"`
	Roots     [][]byte  `json:"roots"` // those after the pinned one, in order
	Timestamp []byte    `json:"timestamp"`
	Snapshot  []byte    `json:"snapshot"`
	Targets   []byte    `json:"targets"`
	Content   []byte    `json:"content"` // of the target
	Checked   time.Time `json:"checked"` // when the mirror last confirmed it
}

// begin starts to believe a repository by its pinned root. Expiry is judged at
// ref; the zero time judges none.
func begin(pinned []byte, ref time.Time) (*trustedmetadata.TrustedMetadata, error) {
	return guarded(func() (*trustedmetadata.TrustedMetadata, error) {
		if err := evidence.CheckJSON(pinned); err != nil {
			return nil, err
		}
		trusted, err := trustedmetadata.New(pinned)
		if err != nil {
			return nil, err
		}
		trusted.RefTime = ref
		return trusted, nil
	})
}

// guarded turns a panic of the library over hostile bytes into an error.
func guarded[T any](do func() (T, error)) (result T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}

// replay verifies a repository that an earlier process has verified, as if all
// of it were received now, but for expiry. It returns when the first of it
// expires.
func replay(pinned []byte, target string, stored repository) (time.Time, error) {
	trusted, err := begin(pinned, time.Time{})
	if err != nil {
		return time.Time{}, err
	}
	if len(stored.Roots) > maxRoots {
		return time.Time{}, tooManyRoots()
	}
	for _, raw := range stored.Roots {
		if err := readRoot(trusted, raw); err != nil {
			return time.Time{}, err
		}
	}
	if err := readTimestamp(trusted, stored.Timestamp); err != nil {
		return time.Time{}, err
	}
	if err := readSnapshot(trusted, stored.Snapshot); err != nil {
		return time.Time{}, err
	}
	if err := readTargets(trusted, stored.Targets); err != nil {
		return time.Time{}, err
	}
	info, err := targetInfo(trusted, target)
	if err != nil {
		return time.Time{}, err
	}
	return expiry(trusted), info.VerifyLengthHashes(stored.Content)
}

// expiry is when the first of the metadata expires.
func expiry(t *trustedmetadata.TrustedMetadata) time.Time {
	all := []time.Time{t.Root.Signed.Expires, t.Timestamp.Signed.Expires, t.Snapshot.Signed.Expires, t.Targets[metadata.TARGETS].Signed.Expires}
	return slices.MinFunc(all, time.Time.Compare)
}

// update is one run of the client workflow, §5.
type update struct {
	mirror    *mirror
	files     files
	old, next repository
	trusted   *trustedmetadata.TrustedMetadata
}

// run verifies the repository as it is now, from the pinned root and against
// what was verified before. It returns when the first of it expires.
func (u *update) run(now time.Time) (time.Time, error) {
	var err error
	if u.trusted, err = begin(u.mirror.pinned, now); err != nil { // §5.2
		return time.Time{}, err
	}
	u.next.Format = repositoryFormat
	for _, step := range []func() error{u.roots, u.timestamp, u.snapshot, u.targets, u.content} {
		if err := step(); err != nil {
			return time.Time{}, err
		}
	}
	return expiry(u.trusted), nil
}

// roots follows the rotations of the root (§5.3): each is signed by the one
// before and by itself, and none is left out. Those that are known are not
// fetched again.
func (u *update) roots() error {
	for _, raw := range u.old.Roots {
		if err := readRoot(u.trusted, raw); err != nil {
			return err
		}
	}
	u.next.Roots = slices.Clip(u.old.Roots)
	for {
		if len(u.next.Roots) > maxRoots {
			return tooManyRoots()
		}
		name := fmt.Sprintf("%d.root.json", u.trusted.Root.Signed.Version+1)
		raw, err := u.files.get(name, maxRootBytes)
		if errors.Is(err, errNoFile) {
			return nil // this one is the newest
		}
		if err == nil {
			err = readRoot(u.trusted, raw)
		}
		if err != nil {
			return in(name, err)
		}
		u.next.Roots = append(u.next.Roots, raw)
	}
}

func tooManyRoots() error {
	return fmt.Errorf("expected at most %d roots after the pinned one, got more", maxRoots)
}

// timestamp reads what is current (§5.4). One that was verified before is loaded
// first, for the version must not go back; if a new root no longer has its key
// it counts for nothing, which is how a repository recovers (§5.3.11).
func (u *update) timestamp() error {
	known := u.old.Timestamp != nil && (readTimestamp(u.trusted, u.old.Timestamp) == nil || u.trusted.Timestamp != nil)
	const name = "timestamp.json"
	raw, err := u.files.get(name, maxTimestampBytes)
	if err != nil {
		return in(name, err)
	}
	err = readTimestamp(u.trusted, raw)
	if known && errors.Is(err, &metadata.ErrEqualVersionNumber{}) { // §5.4.3: no news
		u.next.Timestamp = u.old.Timestamp
		return nil
	}
	u.next.Timestamp = raw
	return in(name, err)
}

// snapshot reads the versions of all metadata (§5.5). The known one is loaded
// first, and suffices if it is current.
func (u *update) snapshot() error {
	if raw := u.old.Snapshot; raw != nil {
		if _, err := u.trusted.UpdateSnapshot(raw, true); err == nil {
			u.next.Snapshot = raw
			return nil
		}
	}
	meta := u.trusted.Timestamp.Signed.Meta["snapshot.json"]
	name := u.versioned("snapshot.json", meta.Version)
	raw, err := u.files.get(name, limit(meta.Length, maxSnapshotBytes))
	if err != nil {
		return in(name, err)
	}
	u.next.Snapshot = raw
	return in(name, readSnapshot(u.trusted, raw))
}

// targets reads the names and hashes of all targets (§5.6).
func (u *update) targets() error {
	if raw := u.old.Targets; raw != nil && readTargets(u.trusted, raw) == nil {
		u.next.Targets = raw
		return nil
	}
	meta := u.trusted.Snapshot.Signed.Meta["targets.json"]
	if meta == nil {
		return in("snapshot.json", errors.New("expected targets.json to be listed, got nothing"))
	}
	name := u.versioned("targets.json", meta.Version)
	raw, err := u.files.get(name, limit(meta.Length, maxTargetsBytes))
	if err != nil {
		return in(name, err)
	}
	u.next.Targets = raw
	return in(name, readTargets(u.trusted, raw))
}

// content reads the target itself (§5.7).
func (u *update) content() error {
	name := u.mirror.target
	info, err := targetInfo(u.trusted, name)
	if err != nil {
		return err
	}
	if info.VerifyLengthHashes(u.old.Content) == nil {
		u.next.Content = u.old.Content
		return nil
	}
	if info.Length < 0 || info.Length > maxContentBytes {
		return in("target "+name, fmt.Errorf("expected at most %d bytes, got %d", maxContentBytes, info.Length))
	}
	file := name
	if u.trusted.Root.Signed.ConsistentSnapshot {
		file = path.Join(path.Dir(name), hashOf(info)+"."+path.Base(name))
	}
	raw, err := u.files.get("targets/"+file, info.Length)
	if err != nil {
		return in("target "+name, err)
	}
	u.next.Content = raw
	return in("target "+name, info.VerifyLengthHashes(raw))
}

// versioned is the name of a file of a consistent snapshot (§6.2).
func (u *update) versioned(name string, version int64) string {
	if !u.trusted.Root.Signed.ConsistentSnapshot {
		return name
	}
	return fmt.Sprintf("%d.%s", version, name)
}

// limit is how many bytes a file may have that a signed one gives a length.
func limit(stated, most int64) int64 {
	if stated > 0 {
		return min(stated, most)
	}
	return most
}

// hashOf is the hash by which a target is named: the repository has the file
// under each of its hashes.
func hashOf(info *metadata.TargetFiles) string {
	if sum, found := info.Hashes["sha256"]; found {
		return hex.EncodeToString(sum)
	}
	return hex.EncodeToString(info.Hashes["sha512"])
}

// targetInfo is what the repository says of a target. Its hashes are of known
// algorithms and proper length, for they become part of a URL.
func targetInfo(t *trustedmetadata.TrustedMetadata, name string) (*metadata.TargetFiles, error) {
	all := t.Targets[metadata.TARGETS].Signed.Targets
	info := all[name]
	if info == nil {
		return nil, fmt.Errorf("expected target %q in targets.json, got %d others", name, len(all))
	}
	if len(info.Hashes) == 0 {
		return nil, fmt.Errorf("target %s: expected hashes, got none", name)
	}
	for algorithm, sum := range info.Hashes {
		if length := map[string]int{"sha256": sha256.Size, "sha512": sha512.Size}[algorithm]; len(sum) != length || length == 0 {
			return nil, fmt.Errorf("target %s: expected hashes sha256 and sha512, got %.20q of %d bytes", name, algorithm, len(sum))
		}
	}
	return info, nil
}

func in(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// The files are checked before the library reads them: it keeps to the
// specification's rules of trust, and is lax about form. A file that lists
// nothing where it must list something would make it panic.

func readRoot(t *trustedmetadata.TrustedMetadata, raw []byte) error {
	if err := evidence.CheckJSON(raw); err != nil {
		return err
	}
	_, err := t.UpdateRoot(raw)
	return err
}

func readTimestamp(t *trustedmetadata.TrustedMetadata, raw []byte) error {
	if err := evidence.CheckJSON(raw); err != nil {
		return err
	}
	parsed, err := metadata.Timestamp().FromBytes(raw)
	if err != nil {
		return err
	}
	if parsed.Signed.Meta["snapshot.json"] == nil {
		return errors.New("expected snapshot.json to be listed, got nothing")
	}
	_, err = t.UpdateTimestamp(raw)
	return err
}

func readSnapshot(t *trustedmetadata.TrustedMetadata, raw []byte) error {
	if err := evidence.CheckJSON(raw); err != nil {
		return err
	}
	parsed, err := metadata.Snapshot().FromBytes(raw)
	if err != nil {
		return err
	}
	for name, meta := range parsed.Signed.Meta {
		if meta == nil {
			return fmt.Errorf("expected a version of %.100q, got nothing", name)
		}
	}
	_, err = t.UpdateSnapshot(raw, false)
	return err
}

func readTargets(t *trustedmetadata.TrustedMetadata, raw []byte) error {
	var document struct {
		Signed struct {
			Targets map[string]any `json:"targets"`
		} `json:"signed"`
	}
	if err := evidence.DecodeJSON(raw, &document); err != nil {
		return err
	}
	for name, info := range document.Signed.Targets {
		if info == nil {
			return fmt.Errorf("expected a length and hashes of %.100q, got nothing", name)
		}
	}
	_, err := t.UpdateTargets(raw)
	return err
}
