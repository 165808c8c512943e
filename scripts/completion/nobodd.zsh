#compdef nobodd-ls nobodd-cat nobodd-check nobodd-cp nobodd-mv nobodd-rm nobodd-mkdir nobodd-resize nobodd-prep nobodd-farm nobodd-tftpd
# SPDX-License-Identifier: GPL-3.0-or-later
#
# zsh completion for the nobodd tools: options, files, and what is inside images
# (jammy.img:1:/<TAB>), which nobodd-ls lists. Installed as _nobodd in a folder of fpath.

# _nobodd_names NAME...: offers the names; one that goes on, with a slash say, gets no space.
_nobodd_names() {
	local name
	for name; do
		case $name in
		(*[/=]) compadd -S '' -- "$name" ;;
		(?*) compadd -- "$name" ;;
		esac
	done
}

# _nobodd_addresses offers what is inside images, too. The colon that makes an image of a
# file is the user's to type.
_nobodd_addresses() {
	local word=${(Q)PREFIX}
	case $word in
	(*:*/*)
		compset -P '*/'
		_nobodd_names ${(f)"$(nobodd-ls -aF -- "${word%/*}/" 2>/dev/null)"}
		;;
	(*:*)
		local -a partitions=(${(f)"$(nobodd-ls -- "${word%%:*}:" 2>/dev/null)"})
		IPREFIX+=${PREFIX%%:*}:
		PREFIX=${PREFIX#*:}
		_nobodd_names ${${partitions#"${word%%:*}:"}/%//}
		;;
	(*) _nobodd_images ;;
	esac
}

# _nobodd_images offers the files of this machine. After an image comes a colon, or not, so it
# gets no space.
_nobodd_images() {
	local file
	local -a files=(${(Q)PREFIX}*(N))
	if (( $#files == 1 )) && [[ -f $files[1] ]] && nobodd-ls -- "$files[1]:" >/dev/null 2>&1; then
		_files -S ''
	else
		_files
	fi
}

# _nobodd_options COMMAND: offers the options that the command's help shows.
_nobodd_options() {
	_nobodd_names ${(fu)"$($1 --help 2>/dev/null | sed -n 's/^ *\(-.*\)/\1/p' | sed 's/  .*//' |
		tr ', ' '\n' | sed -n 's/^\(--*[^-=][^=]*=\{0,1\}\).*/\1/p')"}
}

_nobodd() {
	local command=${words[1]:t} previous=${words[CURRENT-1]}
	if [[ $PREFIX == --*=* ]]; then
		previous=${PREFIX%%=*}
		compset -P '*='
	elif [[ $PREFIX == -* ]]; then
		_nobodd_options $words[1]
		return
	fi
	case $command:$previous in
	(nobodd-ls:--sort) compadd -- name size time extension none ;;
	(nobodd-resize:(-g|--grow)) compadd -- last root ;;
	(nobodd-check:(-m|--model)) compadd -- pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5 ;;
	(nobodd-prep:(-C|--copy)) _nobodd_addresses ;;
	(nobodd-check:--nbd-conf|nobodd-prep:*|nobodd-farm:*|nobodd-resize:*|nobodd-tftpd:*) _files ;;
	(*) _nobodd_addresses ;;
	esac
}

_nobodd "$@"
