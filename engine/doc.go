// Package engine decides: it selects the policies of each image of a request,
// resolves tags once, gathers evidence once, has signers verify it, evaluates
// the policies' requirements and combines the outcomes.
//
// [Engine.Decide] returns data and never an error: what could not be told is
// Undecided, and says why. The engine links no registry client, no Kubernetes
// and no cryptography; sources, signers, clock and observer are handed in, so
// that it can be used as a library.
//
// What must be proven is proven of one digest: that of the reference or, for
// policies that ask for each platform of an index (TRUST R31), that of each child
// that may run. Of one digest everything that is in one place is gathered at once;
// all of it shares the bytes of one decision.
//
// What it remembers is keyed by content (TRUST R34–R38): positive proofs by
// image digest and signer, shared by everybody; tags and evidence lists for
// seconds, per repository and credential; nothing above a proof. One flight per
// key: however many requests ask for a new image at once, it is verified once.
package engine
