// Package trust keeps trust material that comes from afar: the trusted roots of
// TUF mirrors, and the public keys that key management services hold. It asks
// for them beside decisions, never in one: a policy is compiled with what is
// known, a decision waits for nothing, and what changed makes policies compile
// anew (see [Keeper.Revision]).
//
// It believes a mirror by the rules of The Update Framework, from the root that
// the policy pins, https://theupdateframework.github.io/specification/latest/
// (§5, the client workflow). Everything is bounded, in bytes, files and time.
// A failure never yields material, and never takes away what was verified
// before: that stays in use for a documented time, also across restarts.
//
// It decides nothing and verifies no signature of an image. Of a TUF repository
// it reads the top-level targets alone: delegations are not followed.
package trust
