// Package policyset loads the policies that paths name, and loads them again
// when they change: policy files, the Secrets and ConfigMaps beside them, and
// the files that policies refer to.
//
// A set is loaded whole or not at all. [Load] returns what is wrong with it; a
// [Watcher] that meets a broken set keeps the last good one and says so. The
// package also joins the dialects to the verifiers ([NewSigners]). It decides
// nothing and logs nothing.
package policyset
