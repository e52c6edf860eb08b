/* See trampoline.h. `.cfi_undefined` of the return address tells an unwinder
 * that this frame is the outermost one. */
        .text
        .globl  os_trampoline
        .hidden os_trampoline
        .type   os_trampoline, %function

#if defined(__x86_64__)
os_trampoline:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        pushq   %rbp
        movq    %rsp, %rbp
        testq   %rdx, %rdx
        jz      1f
        movq    %rdx, %rsp
1:      movq    %rdi, %rax
        movq    %rsi, %rdi
        callq   *%rax
        movq    %rbp, %rsp
        popq    %rbp
        retq
        .cfi_endproc
#elif defined(__aarch64__)
os_trampoline:
        .cfi_startproc
        .cfi_undefined x30
        stp     x29, x30, [sp, #-16]!
        mov     x29, sp
        cbz     x2, 1f
        mov     sp, x2
1:      mov     x3, x0
        mov     x0, x1
        blr     x3
        mov     sp, x29
        ldp     x29, x30, [sp], #16
        ret
        .cfi_endproc
#endif
        .size   os_trampoline, . - os_trampoline
        .globl  os_trampoline_end
        .hidden os_trampoline_end
os_trampoline_end:
        .section .note.GNU-stack, "", %progbits
