/* Functions that invite mistakes: using one is a compile error. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gmtime localtime system popen   \
	gets

#endif
