// Package doctor looks at an installation from where its nodes stand, the database and the network to it, and says
// of each thing that goes wrong in practice whether it does, with the rows and the command that mends it. It needs no
// node: it is what is left when none answers. Looking changes nothing; [Mend] does, for one entity.
package doctor
