# SPDX-License-Identifier: GPL-3.0-or-later
#
# bash completion for the nobodd tools: options, files, and what is inside images
# (jammy.img:1:/<TAB>), which nobodd-ls lists.

# _nobodd_word sets word to the text of the word under the cursor, and previous to the
# word before it, whole, where readline splits them at colons.
_nobodd_word() {
	local line=${COMP_LINE:0:COMP_POINT}
	local blank='^((\\.|[^\\[:space:]])*)[[:space:]]+(.*)$'
	while [[ $line =~ $blank ]]; do
		previous=${BASH_REMATCH[1]}
		line=${BASH_REMATCH[3]}
	done
	word=${line//\\/}
}

# _nobodd_offer offers the lines of standard input that begin with word. Of
# words with a colon readline wants only what follows the last one.
_nobodd_offer() {
	local line kept=
	[[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && kept=${word%"${word##*:}"}
	while IFS= read -r line; do
		[[ $line == "$word"* ]] || continue
		printf -v line %q "${line#"$kept"}"
		COMPREPLY+=("$line")
		[[ $line != */ && $line != *= ]] || compopt -o nospace 2>/dev/null
	done
}

# _nobodd_files offers the files of this machine.
_nobodd_files() {
	local file
	_nobodd_offer < <(compgen -f -- "$word" | while IFS= read -r file; do
		[[ -d $file ]] && file+=/
		printf '%s\n' "$file"
	done)
}

# _nobodd_addresses offers what is inside images, too. The colon that makes an image
# of a file is the user's to type.
_nobodd_addresses() {
	case $word in
	*:*/*) _nobodd_offer < <(nobodd-ls -aF -- "${word%/*}/" 2>/dev/null | while IFS= read -r name; do
		printf '%s/%s\n' "${word%/*}" "$name"
	done) ;;
	*:*) _nobodd_offer < <(nobodd-ls -- "${word%%:*}:" 2>/dev/null | sed 's,$,/,') ;;
	*) _nobodd_images ;;
	esac
}

# _nobodd_images offers the files of this machine. After an image comes a colon, or not, so it
# gets no space.
_nobodd_images() {
	local -a files
	_nobodd_files
	mapfile -t files < <(compgen -f -- "$word")
	[[ ${#files[@]} == 1 && -f ${files[0]} ]] && nobodd-ls -- "${files[0]}:" &>/dev/null &&
		compopt -o nospace 2>/dev/null
	return 0
}

# _nobodd_options COMMAND: offers the options that the command's help shows.
_nobodd_options() {
	_nobodd_offer < <("$1" --help 2>/dev/null | sed -n 's/^ *\(-.*\)/\1/p' | sed 's/  .*//' |
		tr ', ' '\n' | sed -n 's/^\(--*[^-=][^=]*=\{0,1\}\).*/\1/p')
}

_nobodd() {
	local word previous=
	COMPREPLY=()
	_nobodd_word
	case ${1##*/}:$word in
	*:--*=*)
		previous=${word%%=*}
		word=${word#*=}
		;;
	*:-*)
		_nobodd_options "$1"
		return
		;;
	esac
	case ${1##*/}:$previous in
	nobodd-ls:--sort) _nobodd_offer < <(printf '%s\n' name size time extension none) ;;
	nobodd-resize:-g | nobodd-resize:--grow) _nobodd_offer < <(printf '%s\n' last root) ;;
	nobodd-check:-m | nobodd-check:--model) _nobodd_offer < <(printf '%s\n' pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5) ;;
	nobodd-check:--nbd-conf) _nobodd_files ;;
	nobodd-prep:-C | nobodd-prep:--copy) _nobodd_addresses ;;
	nobodd-farm:* | nobodd-prep:* | nobodd-resize:* | nobodd-tftpd:*) _nobodd_files ;;
	*) _nobodd_addresses ;;
	esac
}

complete -F _nobodd nobodd-ls nobodd-cat nobodd-check nobodd-cp nobodd-mv nobodd-rm nobodd-mkdir nobodd-resize nobodd-prep nobodd-farm nobodd-tftpd
